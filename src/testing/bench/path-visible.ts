/**
 * From sending a transfer until a read with its consistency token is answered, sampled beside a load.
 * Its own transfers are part of the load, a few tens a second.
 */
import { random } from '../random.ts'

/** Between the end of a sample and the next. */
const pauseMs = 25
const waitSeconds = 20

export class VisibleProbe {
  /** Transfers so far. */
  sent = 0
  readonly #ports: { walletPort: number; balancesPort: number }
  readonly #ids: string[]
  readonly #samples: number[] = []
  #running: Promise<void> | undefined
  #until = 0

  constructor(ports: { walletPort: number; balancesPort: number }, ids: string[]) {
    this.#ports = ports
    this.#ids = ids
  }

  /** Samples until `stop`. */
  start(): void {
    this.#until = Number.POSITIVE_INFINITY
    this.#running = this.#run(pauseMs)
    // Shown by `stop`.
    this.#running.catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#until = 0
    await this.#running
  }

  /** Samples without pauses, as the only caller. */
  runFor(ms: number): Promise<void> {
    this.#until = performance.now() + ms
    return this.#run(0)
  }

  /** In milliseconds, of which that share of the samples took less. */
  at(share: number): number {
    const sorted = this.#samples.toSorted((left, right) => left - right)
    return sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  }

  async #run(pause: number): Promise<void> {
    while (performance.now() < this.#until) {
      await this.#sample()
      if (pause > 0) await Bun.sleep(pause)
    }
  }

  async #sample(): Promise<void> {
    const from = Math.floor(random() * this.#ids.length)
    const to = (from + 1 + Math.floor(random() * (this.#ids.length - 1))) % this.#ids.length
    const { walletPort, balancesPort } = this.#ports
    const begun = performance.now()
    const posted = await fetch(`http://127.0.0.1:${walletPort}/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ account_id_from: this.#ids[from], account_id_to: this.#ids[to], amount: 1 }),
    })
    const token = posted.headers.get('consistency-token')
    await posted.arrayBuffer()
    if (posted.status !== 201 || !token) throw new Error(`a transfer was answered ${posted.status}`)
    this.sent++
    const read = await fetch(`http://127.0.0.1:${balancesPort}/balances/${this.#ids[from]}`, {
      headers: { 'consistency-token': token, prefer: `wait=${waitSeconds}` },
    })
    await read.arrayBuffer()
    if (read.status !== 200) throw new Error(`a transfer did not become visible: ${read.status}`)
    this.#samples.push(performance.now() - begun)
  }
}
