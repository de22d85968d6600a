/** Tells whoever waits for a long piece of work how far it is, how fast it goes, and when it will be done. */

export type ProgressBar = {
  /** `note` says what it waits for, if for anything. */
  add(count: number, note?: string): void
  end(): void
}

/** On the standard error: one line that changes at a terminal, and one every few seconds in a log. */
export function showProgressBar(unit: string, total: number, stream = process.stderr): ProgressBar {
  const begunAt = performance.now()
  let [done, noted] = [0, '']
  const show = (end: string) => {
    const line = formatProgress({ unit, total, done, elapsedMs: performance.now() - begunAt })
    stream.write(`${stream.isTTY ? '\r\x1b[K' : ''}${line}${noted && `; ${noted}`}${end}`)
  }
  const ticker = setInterval(show, stream.isTTY ? 250 : 5000, stream.isTTY ? '' : '\n')
  return {
    add(count, note = '') {
      done += count
      noted = note
    },
    end() {
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
  const rate = `${count(done)} of ${count(total)} ${unit} (${percent} %), ${count(Math.round(perSecond))} a second`
  const left = done > 0 && done < total ? `, ${count(Math.ceil((total - done) / perSecond))} s left` : ''
  return `${rate}${left}`
}

const count = (number: number): string => number.toLocaleString('en')
