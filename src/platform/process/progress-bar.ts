/** Progress of long-running commands: how much is done, how fast, and how long the rest will take. */

export type ProgressBar = ReturnType<typeof showProgressBar>

/** On standard error: a line that updates in a terminal, and a line every few seconds in a log. */
export function showProgressBar(unit: string, total: number, stream = process.stderr) {
  const begunAt = performance.now()
  let [done, lastNote] = [0, '']
  const show = (end: string) => {
    const line = formatProgress({ unit, total, done, elapsedMs: performance.now() - begunAt })
    stream.write(`${stream.isTTY ? '\r\x1b[K' : ''}${line}${lastNote && `; ${lastNote}`}${end}`)
  }
  const ticker = setInterval(show, stream.isTTY ? 250 : 5000, stream.isTTY ? '' : '\n')
  return {
    /** `note` is shown behind the numbers, such as what the work is waiting for. */
    add(count: number, note = ''): void {
      done += count
      lastNote = note
    },
    end(): void {
      clearInterval(ticker)
      show('\n')
    },
  }
}

export function formatProgress(state: {
  unit: string
  total: number
  done: number
  elapsedMs: number
}): string {
  const { unit, total, done, elapsedMs } = state
  const perSecond = done / Math.max(elapsedMs / 1000, 0.001)
  const percent = total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 100
  const share = `${count(done)} of ${count(total)} ${unit} (${percent} %)`
  const rate = `${share}, ${count(Math.round(perSecond))} a second`
  const left = done > 0 && done < total ? `, ${count(Math.ceil((total - done) / perSecond))} s left` : ''
  return `${rate}${left}`
}

const count = (number: number): string => number.toLocaleString('en')
