/** A few transfers between two accounts of the sample data, and back: without any, nothing would wait. */
import { eva, frank } from '../config/local'
import { messageOf, SetupError } from '../platform/fault'
import { pause } from '../platform/process/retry'
import { ask, KeyRefused, type Service } from './ask'

const amount = 0.01
/** How long an answer is waited for, in milliseconds. */
const timeoutMs = 15_000

export class Traffic {
  readonly #wallet: Service
  #sent = 0
  #refused = 0
  #failed = 0

  constructor(wallet: Service) {
    this.#wallet = wallet
  }

  /** Throws `KeyRefused` where no transfer would be taken. Nothing is moved. */
  async check(): Promise<void> {
    const preview = { ...transferOf(true), dry_run: true }
    await this.#send('/transactions', preview).catch((error) => {
      if (error instanceof KeyRefused) throw error
    })
  }

  /** One after the other, until the signal is aborted. A failure is counted: the drill is about it. */
  async run(everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.transfer().catch(() => {})
      await pause(everyMs, signal)
    }
  }

  /** Throws unless it was done. */
  async transfer(): Promise<void> {
    await this.#post('/transactions', transferOf(this.#sent % 2 === 0))
    this.#sent++
  }

  /** Pays the last transfer back, where it was not. */
  async settle(): Promise<void> {
    if (this.#sent % 2 === 1) await this.transfer().catch(() => {})
  }

  /** As many there as back, in one batch of an even number. */
  async batch(count: number): Promise<void> {
    const transactions = Array.from({ length: count }, (_, index) => transferOf(index % 2 === 0))
    await this.#post('/transactions/batch', { transactions })
    this.#sent += count
  }

  counts = () => ({ sent: this.#sent, refused: this.#refused, failed: this.#failed })

  #send(path: string, body: object): Promise<Response> {
    return ask(this.#wallet, path, 'write', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
  }

  async #post(path: string, body: object): Promise<void> {
    const url = this.#wallet.url + path
    const answer = await this.#send(path, body).catch((error) => {
      this.#failed++
      if (error instanceof KeyRefused) throw error
      throw new SetupError(`${url} does not answer: ${messageOf(error)}`)
    })
    const text = await answer.text()
    if (answer.status === 201) return
    if (answer.status < 500) this.#refused++
    else this.#failed++
    throw new SetupError(`${url} answers ${answer.status}: ${text.slice(0, 300)}`)
  }
}

const transferOf = (isThere: boolean) => ({
  account_id_from: isThere ? eva : frank,
  account_id_to: isThere ? frank : eva,
  amount,
})
