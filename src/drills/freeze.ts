/** Stops processes as Ctrl-Z does, so that they hold what they have and answer nothing. */

/**
 * Wakes them at the end of its input: also when the drill is killed. The reader is a grandchild,
 * since the children of a killed Bun are killed with it.
 */
const wakeAtEnd = `
exec 3<&0 </dev/null
( trap '' INT TERM HUP QUIT
  while read -r pid <&3; do pids="$pids $pid"; done
  for pid in $pids; do kill -CONT "$pid" 2>/dev/null; done
) >/dev/null 2>&1 &
exec 3<&-
wait`

export class Freezer implements AsyncDisposable {
  readonly #guard = Bun.spawn(['/bin/sh', '-c', wakeAtEnd], { stdin: 'pipe', detached: true })
  readonly #frozen = new Set<number>()

  /** Processes that have ended are left out. */
  async freeze(pids: readonly number[]): Promise<void> {
    // Before they are stopped.
    for (const pid of pids) this.#guard.stdin.write(`${pid}\n`)
    await this.#guard.stdin.flush()
    for (const pid of pids) if (send(pid, 'SIGSTOP')) this.#frozen.add(pid)
  }

  wake(): void {
    for (const pid of this.#frozen) send(pid, 'SIGCONT')
    this.#frozen.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.wake()
    await this.#guard.stdin.end()
  }
}

/** Whether the process was there. */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}
