/**
 * Options of commands, as tables: what is parsed, refused, shown by `--help` and written to docs/cli.md.
 * `parseArgs` of Node cuts the arguments into tokens; the refusals are ours, because each has to name
 * the option and the remedy.
 */
import { parseArgs } from 'node:util'
import { UsageError } from '../platform/fault'

export type Option<T> = {
  about: string
  /** How the value is called in the usage, such as `SECONDS`; a flag has none. */
  value?: string
  /** Used when the option is not given, and shown by `--help`. */
  fallback?: string
  isList?: boolean
  /** Of all values that were given. Throws what is wrong with one, without the name of the option. */
  parse(given: string[]): T
}

// biome-ignore lint/suspicious/noExplicitAny: a table of options has values of any types.
export type Options = Readonly<Record<string, Option<any>>>
export type ValuesOf<O extends Options> = { [K in keyof O]: O[K] extends Option<infer T> ? T : never }

type Parse<T> = (text: string) => T

export const flag = (about: string): Option<boolean> => ({ about, parse: (given) => given.length > 0 })

export const value = <T>(name: string, about: string, parse: Parse<T>): Option<T | undefined> => ({
  about,
  value: name,
  parse: ([given]) => (given === undefined ? undefined : parse(given)),
})

export const valueOr = <T>(fallback: string, name: string, about: string, parse: Parse<T>): Option<T> => ({
  about,
  value: name,
  fallback,
  parse: ([given = fallback]) => parse(given),
})

/** May be given several times. */
export const values = <T>(name: string, about: string, parse: Parse<T>): Option<T[]> => ({
  about,
  value: name,
  isList: true,
  parse: (given) => given.map(parse),
})

export const anyText: Parse<string> = (text) => {
  if (!text) throw new Error('must not be empty')
  return text
}

export type Positional = { name: string; about: string; optional?: true }

/** Options, and arguments without a name. */
export type Syntax = {
  options: Options
  /** Arguments without a name, in order. Only the last ones may be left out. */
  positionals?: readonly Positional[]
  /** Of each group at most one may be given. */
  exclusive?: readonly (readonly string[])[]
}

/** Of every command, so no table has them. */
export const commonOptions = {
  json: flag('prints JSON on standard output, in the form below'),
  help: flag('shows this'),
} as const

/** An option that the command does not have. `name` is without the dashes. */
export class UnknownOption extends UsageError {
  constructor(
    readonly typed: string,
    known: readonly string[],
  ) {
    const similar = known.find((name) => isSimilar(name, typed.replace(/^-+/, '')))
    const remedy = similar
      ? `Did you mean --${similar}?`
      : `There are ${known.map((name) => `--${name}`).join(', ')}.`
    super(`Unknown option ${typed}. ${remedy}`)
  }
}

/** Throws `UsageError`. */
export function parseOptions(
  { options, positionals = [], exclusive = [] }: Syntax,
  args: string[],
): { options: Record<string, unknown>; json: boolean; positionals: string[] } {
  const all: Options = { ...options, ...commonOptions }
  const types = Object.fromEntries(
    Object.entries(all).map(([name, { value }]) => [name, { type: value ? 'string' : 'boolean' } as const]),
  )
  const { tokens } = parseArgs({ args, options: types, strict: false, tokens: true, allowPositionals: true })
  const given = new Map<string, string[]>()
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName } = token
    const option = Object.hasOwn(all, name) && rawName === `--${name}` ? all[name] : undefined
    if (!option) throw new UnknownOption(rawName, Object.keys(all))
    const before = given.get(name) ?? []
    if (before.length > 0 && !option.isList) refuse(name, 'is given twice: keep one of them')
    given.set(name, [...before, givenValue(name, option, token)])
  }
  for (const group of exclusive) {
    const chosen = group.filter((name) => given.has(name))
    if (chosen.length > 1) refuse(chosen.join(' and --'), 'contradict each other: give one of them')
  }
  if (words.length > positionals.length) throw new UsageError(excessArgument(words, positionals))
  const missing = positionals[words.length]
  if (missing && !missing.optional) throw new UsageError(`${missing.name} is missing: ${missing.about}.`)
  const parsed = Object.entries(all).map(([name, option]) => [name, parsedBy(option, name, given.get(name))])
  const { json, ...rest } = Object.fromEntries(parsed)
  return { options: rest, json, positionals: words }
}

/** Throws `UsageError`, which names the option. */
export function refuse(option: string, fault: string): never {
  throw new UsageError(`--${option} ${fault}.`)
}

type OptionToken = { rawName: string; value?: string | undefined; inlineValue?: boolean | undefined }

function givenValue(name: string, option: Option<unknown>, { value, inlineValue }: OptionToken): string {
  if (option.value === undefined && inlineValue) refuse(name, `takes no value: leave out =${value}`)
  if (option.value === undefined) return ''
  if (value === undefined || (!inlineValue && value.startsWith('--')))
    refuse(name, `needs a value: --${name} ${option.value}`)
  return value
}

function parsedBy(option: Option<unknown>, name: string, given: string[] = []): unknown {
  try {
    return option.parse(given)
  } catch (error) {
    return refuse(name, (error as Error).message)
  }
}

function excessArgument(words: string[], positionals: readonly { name: string }[]): string {
  const first = JSON.stringify(words[positionals.length])
  const names = positionals.map(({ name }) => name).join(' ')
  return `Unexpected argument ${first}: ${names ? `only ${names} is expected` : 'options begin with --'}.`
}

/** One letter more, less or other, or two that changed places. */
export function isSimilar(known: string, typed: string): boolean {
  if (known === typed || Math.abs(known.length - typed.length) > 1) return known === typed
  const at = [...known].findIndex((letter, index) => letter !== typed[index])
  if (at < 0) return true
  const [a, b] = [known.slice(at), typed.slice(at)]
  const swapped = `${b[1] ?? ''}${b[0] ?? ''}${b.slice(2)}`
  return a.slice(1) === b.slice(1) || a.slice(1) === b || a === b.slice(1) || a === swapped
}
