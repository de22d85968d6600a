/** Migrations since the last release expand only, since the release before runs with them: upgrading.md. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { root } from './source'

/** The last migration of 0.1.0. */
const released = { wallet: '0021', balances: '0017' }

const contracting: [RegExp, string][] = [
  [/\bdrop (table|column|view|type|schema)\b/i, 'drops what the release before may use'],
  [/\brename\b/i, 'renames what the release before uses'],
  [/\balter column \S+ (set data )?type\b/i, 'changes the type of a column'],
  [/\bset not null\b/i, 'refuses rows of the release before'],
  [
    /\badd column (?:(?!\bdefault\b|\bgenerated\b)[^,;])*\bnot null\b(?![^,;]*\bdefault\b)/i,
    'has no default',
  ],
]

/** What a former version cannot run with, unless the first line says which versions can. */
const faultsOf = (migration: string): string[] => {
  if (/^-- Needs \d{4}\b/.test(migration)) return []
  const statements = migration.replace(/--.*$/gm, '')
  return contracting.flatMap(([pattern, fault]) => {
    const match = pattern.exec(statements)
    return match ? [`${match[0]}: ${fault}`] : []
  })
}

test.each([
  ['alter table a add column b int not null', ['add column b int not null: has no default']],
  ['alter table a add column b int not null default 1', []],
  ['alter table a add column b int default 1 not null, add column c text', []],
  ['alter table a add column b int;\nalter table c rename to d', ['rename: renames']],
  ['-- Needs 0022: names are no longer read.\nalter table a drop column b', []],
  ['-- not: drop table a\ndrop trigger b on a', []],
  ['alter table a alter column b set not null', ['set not null: refuses']],
  ['alter table a alter column b type bigint', ['alter column b type: changes']],
])('%s', (migration, faults) => {
  const found = faultsOf(migration)
  expect(found.length).toBe(faults.length)
  for (const [index, fault] of faults.entries()) expect(found[index]).toStartWith(fault)
})

test.each(['wallet', 'balances'] as const)(
  'the migrations of the next release expand the %s',
  async (service) => {
    const found: string[] = []
    for (const file of new Bun.Glob('*.sql').scanSync(join(root, 'migrations', service)))
      if (file.slice(0, 4) > released[service])
        for (const fault of faultsOf(await Bun.file(join(root, 'migrations', service, file)).text()))
          found.push(`${file}: ${fault}`)
    expect(found).toEqual([])
  },
)
