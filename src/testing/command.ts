/** Commands of `src/cli` in this process, at a fifth of the cost of a process. */
import type { Command } from '../cli/command'
import { parseOptions } from '../cli/options'
import type { Environment } from '../config/config'
import { UsageError } from '../platform/fault'

/** The exit code and the lines of standard output. Throws what the command throws. */
export async function runCommand(
  command: Command,
  args: string[],
  env: Environment,
  signal = new AbortController().signal,
): Promise<{ code: number; out: string[] }> {
  if (command.verbs) {
    const [verb = '', ...others] = args
    const inner = Object.hasOwn(command.verbs, verb) ? command.verbs[verb] : undefined
    if (!inner) throw new UsageError(`no verb ${verb}`)
    return runCommand(inner, others, env, signal)
  }
  const { options, json, positionals } = parseOptions({ options: {}, ...command }, args)
  const out: string[] = []
  const print = (line: string) => void out.push(...line.split('\n'))
  const code = (await command.run?.(options, { env, signal, json, positionals, print })) ?? 0
  return { code, out }
}
