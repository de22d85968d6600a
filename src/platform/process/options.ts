/**
 * Arguments of all programs: help goes to standard output with exit code 0, usage errors to standard
 * error with 2.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util'

export const asksForHelp = (args: readonly string[]): boolean =>
  args.includes('--help') || args.includes('-h')

/** The options. Exits for help and for usage errors. */
export function optionsOrExit<const T extends NonNullable<ParseArgsConfig['options']>>(
  usage: string,
  options: T,
  args: string[] = process.argv.slice(2),
) {
  if (asksForHelp(args)) showHelp(usage)
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    refuseUsage((error as Error).message, usage)
  }
}

export function showHelp(usage: string): never {
  console.log(usage)
  process.exit(0)
}

export function refuseUsage(message: string, usage: string): never {
  console.error(message ? `${message}\n${usage}` : usage)
  process.exit(2)
}
