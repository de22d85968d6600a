import { expect, test } from 'bun:test'
import { join } from 'node:path'
import type { Command } from '../cli/command'
import { loadCommands } from '../cli/commands'
import { writeCliDocs } from './cli-docs'

test.each([...(await writeCliDocs())])('%s is up to date (npm run docs)', async (path, text) => {
  expect(await Bun.file(join(import.meta.dir, '../..', path)).text()).toBe(text)
})

const leavesOf = ([name, command]: [string, Command]): [string, Command][] =>
  command.verbs
    ? Object.entries(command.verbs).map(([verb, each]): [string, Command] => [`${name} ${verb}`, each])
    : [[name, command]]

test.each((await loadCommands()).flatMap(leavesOf))(
  '%s has a sentence for everything, and the form of its JSON',
  (_, { about, options = {}, json, run, exclusive = [] }) => {
    expect(run).toBeFunction()
    expect(json?.example).toBeObject()
    for (const text of [about, ...Object.values(options).map((option) => option.about)])
      expect(text).toMatch(/^[a-z][^\n]{5,120}[^.]$/)
    for (const name of exclusive.flat()) expect(Object.keys(options)).toContain(name)
    // A default is a value as it would be typed.
    for (const { fallback, parse } of Object.values(options))
      if (fallback !== undefined) expect(() => parse([fallback])).not.toThrow()
  },
)
