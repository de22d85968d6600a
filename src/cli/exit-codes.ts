/** Exit codes of all commands. Released: scripts rely on them. docs/cli.md is written from this table. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  undecided: 3,
  interrupted: 130,
  outputClosed: 141,
  terminated: 143,
} as const

/** What each means, unless a command has a more special meaning for it. */
export const exitMeanings: Record<keyof typeof exitCodes, string> = {
  done: 'Done; nothing to complain about.',
  failed: 'Failed, or the result is negative: standard error, or the report, has the reason.',
  usage:
    'Wrong usage; nothing was done. Also: `reconcile` could not compare, ' +
    'so that this is never taken for a difference.',
  undecided: 'No answer yet: run it again later.',
  interrupted: 'Ctrl-C (SIGINT). The last line says how things were left.',
  outputClosed: 'The reader of the output has gone, as with `| head`.',
  terminated: 'SIGTERM, otherwise as 130.',
}
