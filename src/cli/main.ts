/**
 * The commands of Saldo: `bun src/cli/main.ts COMMAND …`. Beside `src/main.ts` the only place with
 * signals and exit codes: 0 done, 1 failed, 2 usage error, 130 or 143 interrupted.
 */
import { ConfigError } from '../config/config'
import { SetupError, UsageError, withoutQuery } from '../platform/fault'
import { asksForHelp, refuseUsage, showHelp } from '../platform/process/options'
import { onStopSignal } from '../platform/process/signals'
import type { Command } from './command'
import { migrate } from './migrate'
import { rebuild } from './rebuild'
import { reconcileCommand as reconcile } from './reconcile'
import { redriveCommand as redrive } from './redrive'
import { republish } from './republish'
import { status } from './status'

const commands: Record<string, Command> = { status, reconcile, republish, rebuild, redrive, migrate }

const [name = '', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (!command && (name === 'help' || asksForHelp([name]))) showHelp(usage())
if (!command) refuseUsage(name && `Unknown command ${name}.`, usage())
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

function usage(): string {
  const lines = Object.values(commands).map(({ usage, about }) => `  ${usage}\n      ${about}`)
  return `Usage: bun src/cli/main.ts COMMAND\n\nCommands:\n${lines.join('\n')}`
}

function usageOf({ usage, about }: Command): string {
  return `Usage: bun src/cli/main.ts ${usage}\n  ${about}`
}
