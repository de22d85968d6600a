/**
 * Calls `stop` for SIGTERM and SIGINT, with the exit code that the signal implies. A single Ctrl-C may
 * arrive more than once within milliseconds, from the terminal and from launchers. A second one after
 * a second or more ends the process at once.
 */
export function onStopSignal(stop: (signal: string, exitCode: number) => void): void {
  for (const [signal, exitCode] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    let firstAt = 0
    process.on(signal, () => {
      const now = Date.now()
      if (firstAt > 0 && now - firstAt > 1000) process.exit(exitCode)
      firstAt ||= now
      stop(signal, exitCode)
    })
  }
}
