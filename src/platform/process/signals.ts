/** How a process is told to end. */

/**
 * Calls `stop` for every signal that asks for the end, with the exit code of a process that was
 * ended by it. One Ctrl-C reaches a process more than once within milliseconds, from the terminal
 * and from launchers; whoever presses again after a second means it, and the process ends there and
 * then.
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
