/**
 * The commands of Saldo: `saldo COMMAND …`. Beside `src/main.ts` the only place with signals and exit
 * codes, which are in `exit-codes.ts`.
 */
import { ConfigError } from '../config/config'
import { SetupError, UsageError, withoutQuery } from '../platform/fault'
import { asksForHelp, showHelp } from '../platform/process/options'
import { onStopSignal } from '../platform/process/signals'
import type { Command, Context } from './command'
import { commands, loadCommands } from './commands'
import { exitCodes } from './exit-codes'
import { helpOf, usageLines } from './help'
import { isSimilar, parseOptions, UnknownOption } from './options'

const [first = '', ...rest] = process.argv.slice(2)
const found = Object.hasOwn(commands, first) ? await commands[first]?.() : undefined
if (!found && (first === 'help' || asksForHelp([first]))) showHelp(await overview())
if (!found)
  refuse(first && `Unknown command ${first}.${suggestion(first, Object.keys(commands))}`, await overview())
const { name, command, args } = verbOf(first, found, rest)
if (asksForHelp(args)) showHelp(helpOf(name, command))

const given = await parse()

const stopping = new AbortController()
let stopCode = 0
/** How long a command may take to stop in good order, in milliseconds. */
const stopWithinMs = 10_000
onStopSignal((_, exitCode) => {
  stopCode ||= exitCode
  stopping.abort()
  setTimeout(() => exit(stopCode), stopWithinMs).unref()
})
// Without a handler the end of the reader would be an error with a stack.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) =>
  process.exit(code === 'EPIPE' ? exitCodes.outputClosed : exitCodes.failed),
)

await run().then(exit, fail)

async function parse(): Promise<ReturnType<typeof parseOptions>> {
  try {
    return parseOptions({ options: {}, ...command }, args)
  } catch (error) {
    return refuseOptions(error as UsageError)
  }
}

async function run(): Promise<number> {
  const { options, json, positionals } = given
  const context: Context = { env: process.env, signal: stopping.signal, json, positionals, print }
  return (await command.run?.(options, context)) ?? exitCodes.done
}

function print(line: string): Promise<void> | void {
  if (!process.stdout.write(`${line}\n`))
    return new Promise((resolve) => process.stdout.once('drain', () => resolve()))
}

async function exit(exitCode: number): Promise<never> {
  if (stopCode) console.error(`Interrupted. ${command.interrupted ?? 'Nothing was changed.'}`)
  // What was written may not have reached the reader yet.
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
  process.exit(stopCode || exitCode)
}

async function fail(error: unknown): Promise<never> {
  if (error instanceof UsageError) await refuseOptions(error)
  if (!stopCode)
    console.error(
      error instanceof ConfigError || error instanceof SetupError ? error.message : withoutQuery(error),
    )
  return exit(exitCodes.failed)
}

async function refuseOptions(error: UsageError): Promise<never> {
  const usage = usageLines(name, command).join('\n       ')
  refuse(`${error.message}${await ownersOf(error)}`, `Usage: ${usage}\nsaldo ${name} --help says more.`)
}

function refuse(message: string, usage: string): never {
  console.error(message ? `${message}\n${usage}` : usage)
  process.exit(exitCodes.usage)
}

/** `keys create …`: the verb is a command, too. */
function verbOf(
  name: string,
  command: Command,
  args: string[],
): { name: string; command: Command; args: string[] } {
  if (!command.verbs) return { name, command, args }
  const [verb = '', ...others] = args
  const inner = Object.hasOwn(command.verbs, verb) ? command.verbs[verb] : undefined
  if (inner) return { name: `${name} ${verb}`, command: inner, args: others }
  if (asksForHelp(args)) showHelp(helpOf(name, command))
  const verbs = Object.keys(command.verbs)
  const fault = verb && !verb.startsWith('-') ? `${name} has no ${verb}.${suggestion(verb, verbs)} ` : ''
  refuse(`${fault}Say one of ${verbs.join(', ')}.`, `Usage: ${usageLines(name, command).join('\n       ')}`)
}

function suggestion(typed: string, known: string[]): string {
  const similar = known.find((one) => isSimilar(one, typed))
  return similar ? ` Did you mean ${similar}?` : ''
}

/** Where an option that is unknown here belongs. */
async function ownersOf(error: UsageError): Promise<string> {
  if (!(error instanceof UnknownOption)) return ''
  const option = error.typed.replace(/^-+/, '')
  const all = await loadCommands()
  const owners = all.filter(([, { options = {} }]) => Object.hasOwn(options, option)).map(([one]) => one)
  return owners.length > 0 ? ` ${error.typed} belongs to ${owners.join(' and ')}.` : ''
}

async function overview(): Promise<string> {
  const lines = (await loadCommands()).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  return [
    'Usage: saldo COMMAND [OPTIONS]',
    '',
    'Commands:',
    ...lines,
    '',
    'saldo COMMAND --help shows options, examples and exit codes of one. All are in docs/cli.md.',
  ].join('\n')
}
