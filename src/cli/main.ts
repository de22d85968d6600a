/**
 * The commands of Saldo: `bun src/cli/main.ts COMMAND …`. Beside `src/main.ts` the only place with
 * signals and exit codes: 0 done, 1 failed, 2 usage error, 130 or 143 interrupted.
 */
import { ConfigError } from '../config/config'
import { SetupError, UsageError, withoutQuery } from '../platform/fault'
import { asksForHelp, refuseUsage, showHelp } from '../platform/process/options'
import { onStopSignal } from '../platform/process/signals'
import type { Command } from './command'

/** Loaded when it is asked for: together they are most of both services. */
const commands: Record<string, () => Promise<Command>> = {
  status: async () => (await import('./status')).status,
  reconcile: async () => (await import('./reconcile')).reconcileCommand,
  republish: async () => (await import('./republish')).republish,
  rebuild: async () => (await import('./rebuild')).rebuild,
  redrive: async () => (await import('./redrive')).redriveCommand,
  keys: async () => (await import('./keys')).keys,
  migrate: async () => (await import('./migrate')).migrate,
}

const [name = '', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? await commands[name]?.() : undefined
if (!command && (name === 'help' || asksForHelp([name]))) showHelp(await usage())
if (!command) refuseUsage(name && `Unknown command ${name}.`, await usage())
if (asksForHelp(args)) showHelp(usageOf(command))

const stopping = new AbortController()
let stopCode = 0
onStopSignal((_, exitCode) => {
  stopCode ||= exitCode
  stopping.abort()
})

await command.run(args, process.env, stopping.signal).then(
  (exitCode) => process.exit(stopCode || exitCode),
  (error) => {
    if (error instanceof UsageError || String(error.code).startsWith('ERR_PARSE_ARGS'))
      refuseUsage(error.message, usageOf(command))
    console.error(
      error instanceof ConfigError || error instanceof SetupError ? error.message : withoutQuery(error),
    )
    process.exit(stopCode || 1)
  },
)

async function usage(): Promise<string> {
  const loaded = await Promise.all(Object.values(commands).map((load) => load()))
  const lines = loaded.map(({ usage, about }) => `  ${usage}\n      ${about}`)
  return `Usage: bun src/cli/main.ts COMMAND\n\nCommands:\n${lines.join('\n')}`
}

function usageOf({ usage, about }: Command): string {
  return `Usage: bun src/cli/main.ts ${usage}\n  ${about}`
}
