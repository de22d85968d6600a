/**
 * What can be asked of Saldo beside serving: `bun src/cli/main.ts COMMAND …`. With `main.ts` the
 * only place with signals and exit codes: 0 done, 1 failed, 2 not understood, 130 and the like
 * stopped before the end.
 */

import { ConfigError, type Environment } from '../config/config'
import { SetupError, UsageError, withoutQuery } from '../platform/fault'
import { asksForHelp, refuseUsage, showHelp } from '../platform/process/options'
import { onStopSignal } from '../platform/process/signals'
import { republish } from '../wallet/republish/republish'
import { rebuild } from './rebuild'
import { command as reconcile } from './reconcile'

type Command = {
  usage: string
  about: string
  /**
   * Answers the exit code. Ends early, and in order, when the signal is aborted. Throws
   * `UsageError`, or what `parseArgs` throws, for arguments that it does not understand, before
   * anything is done.
   */
  run(args: string[], env: Environment, signal: AbortSignal): Promise<number>
}

const commands: Record<string, Command> = { reconcile, republish, rebuild }

const [name = '', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (!command && (name === 'help' || asksForHelp([name]))) showHelp(usage())
if (!command) refuseUsage(name && `There is no command ${name}.`, usage())
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
  return `Usage: bun src/cli/main.ts COMMAND, where COMMAND is\n${lines.join('\n')}`
}

function usageOf({ usage, about }: Command): string {
  return `Usage: bun src/cli/main.ts ${usage}\n  ${about}`
}
