/** What `--help` shows, and docs/cli.md repeats. */
import type { Command } from './command'
import { exitCodes, exitMeanings } from './exit-codes'
import { commonOptions, type Option } from './options'

type AnyOption = Option<unknown>

/** `--wait SECONDS`, of a list with dots. */
export const nameOf = (name: string, { value, isList }: AnyOption): string =>
  `--${name}${value ? ` ${value}` : ''}${isList ? ' …' : ''}`

/** With the default. */
export const aboutOf = ({ about, fallback }: AnyOption): string =>
  fallback === undefined ? about : `${about} (default ${fallback})`

/** `saldo rebuild [OPTIONS]`, one line for each verb. */
export function usageLines(name: string, { options = {}, positionals = [], verbs }: Command): string[] {
  if (verbs) return Object.entries(verbs).flatMap(([verb, each]) => usageLines(`${name} ${verb}`, each))
  const words = positionals.map((one) => (one.optional ? ` [${one.name}]` : ` ${one.name}`)).join('')
  return [`saldo ${name}${words}${Object.keys(options).length > 0 ? ' [OPTIONS]' : ''}`]
}

/** The codes that a command has a word of its own for, and those of every command. */
export function exitsOf({ exits = {} }: Command): [code: number, meaning: string][] {
  const names = (Object.keys(exitCodes) as (keyof typeof exitCodes)[]).filter(
    (name) => name !== 'undecided' || exits[name] !== undefined,
  )
  return names.map((name) => [exitCodes[name], exits[name] ?? exitMeanings[name]])
}

/** The page of a command, or of one of its verbs. */
export function helpOf(name: string, command: Command): string {
  const { about, details, positionals = [], options = {}, verbs, examples = [], json } = command
  const all: Record<string, AnyOption> = { ...options, ...commonOptions }
  const sections = [
    [`Usage: ${usageLines(name, command).join('\n       ')}`, `  ${about}`],
    details ? details.map((line) => `  ${line}`) : [],
    verbs ? Object.entries(verbs).map(([verb, one]) => `  ${verb.padEnd(10)} ${one.about}`) : [],
    positionals.length > 0 ? ['Arguments:', ...table(positionals.map((one) => [one.name, one.about]))] : [],
    verbs
      ? []
      : ['Options:', ...table(Object.entries(all).map(([key, one]) => [nameOf(key, one), aboutOf(one)]))],
    examples.length > 0 ? ['Examples:', ...examples.map((one) => `  ${one}`)] : [],
    json ? [`JSON (--json):${json.perLine ? ' one object a line' : ''}`, ...jsonLines(json.example)] : [],
    verbs
      ? []
      : ['Exit codes:', ...table(exitsOf(command).map(([code, says]) => [String(code), plain(says)]))],
  ]
  const more = verbs ? [[`saldo ${name} VERB --help shows the options of one.`]] : []
  return [...sections, ...more]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

const plain = (markdown: string): string => markdown.replaceAll('`', '')

export const jsonLines = (example: unknown): string[] =>
  JSON.stringify(example, null, 2)
    .split('\n')
    .map((line) => `  ${line}`)

function table(rows: [string, string][]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, about]) => `  ${name.padEnd(width)}  ${about}`)
}
