/** What the pages with one filter are sent: its newest events, and how many records they stand for. */
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { encodeServerEvent, type ServerEvent } from '../../platform/http/event-stream'
import { type Candidate, isAbout, type Lane } from './flow-lanes'
import type { FlowSample } from './flow-sample'
import { Budget, chooseNewest, EventRing } from './flow-sampling'

/** A second. Dead letters have a number of their own. */
const [lanesPerSecond, deadLettersPerSecond] = [20, 50]
/** Events that a page can catch up with after a reconnect: nearly half a minute of the most there are. */
const ringMax = 600

export type FlowEncoder = {
  lane(lane: Lane): object
  sample(sample: FlowSample): object
}

export class FlowChannel {
  /** Ids are of this channel, which the next process does not have. */
  readonly #name = randomBytes(4).toString('hex')
  readonly #ring = new EventRing<string>(ringMax)
  readonly #budget = new Budget(lanesPerSecond)
  readonly #deadLetterBudget = new Budget(deadLettersPerSecond)
  #offered = 0
  #shown = 0
  readonly wakeups = new EventEmitter().setMaxListeners(0)
  viewers = 0

  constructor(
    /** Undefined for all accounts. */
    readonly account: string | undefined,
    readonly encoder: FlowEncoder,
  ) {}

  /** Counts these, and answers those to show. Dead letters among them are shown by `showDeadLetters`. */
  choose(candidates: readonly Candidate[], nowMs: number): Candidate[] {
    const { account } = this
    const ours = account === undefined ? candidates : candidates.filter((one) => isAbout(one, account))
    this.#offered += ours.length
    const alive = ours.filter(({ outcome }) => outcome !== 'dead_letter')
    const count = this.#budget.take(alive.length, nowMs)
    if (count === 0) return []
    return chooseNewest(
      alive,
      count,
      ({ origin: { partition } }) => `${partition.topic} ${partition.partition}`,
    )
  }

  show(lanes: readonly Lane[]): void {
    this.#shown += lanes.length
    for (const lane of lanes) this.#push('lane', this.encoder.lane(lane))
    if (lanes.length > 0) this.wakeups.emit('event')
  }

  /** From the tables: `choose` has not counted them. */
  showOthers(lanes: readonly Lane[], nowMs: number): void {
    const ours = lanes.filter((lane) => this.#isOurs(lane))
    this.#offered += ours.length
    this.show(ours.slice(ours.length - this.#budget.take(ours.length, nowMs)))
  }

  /** `choose` has counted those of this process. */
  showDeadLetters({ own, others }: { own: readonly Lane[]; others: readonly Lane[] }, nowMs: number): void {
    const ofOthers = others.filter((lane) => this.#isOurs(lane))
    this.#offered += ofOthers.length
    const ours = [...own.filter((lane) => this.#isOurs(lane)), ...ofOthers]
    this.show(ours.slice(ours.length - this.#deadLetterBudget.take(ours.length, nowMs)))
  }

  sample(sample: Omit<FlowSample, 'offered' | 'shown'>): void {
    const [offered, shown] = [this.#offered, this.#shown]
    this.#offered = 0
    this.#shown = 0
    this.#push('sample', this.encoder.sample({ ...sample, offered, shown }))
    this.wakeups.emit('event')
  }

  #isOurs({ accountIdFrom, accountIdTo }: Lane): boolean {
    const { account } = this
    return account === undefined || accountIdFrom === account || accountIdTo === account
  }

  #push(event: string, data: object): void {
    this.#ring.push(encodeServerEvent({ event, id: this.#idOf(this.#ring.last + 1), data }))
  }

  #idOf(number: number): string {
    return `${this.#name}-${number}`
  }

  get position(): number {
    return this.#ring.last
  }

  /** An event that takes no number: it belongs to the opening of a stream. */
  encodeAt(position: number, { event, data }: Pick<ServerEvent, 'event' | 'data'>): string {
    return encodeServerEvent({ event, id: this.#idOf(position), data })
  }

  /** Undefined where what followed it is not all there. */
  positionOf(id: string): number | undefined {
    const [name, number] = id.split('-')
    return name === this.#name && this.#ring.after(Number(number)) ? Number(number) : undefined
  }

  /** Undefined where a client was too slow. */
  after(position: number): { text: string; position: number } | undefined {
    const events = this.#ring.after(position)
    return events && { text: events.join(''), position: position + events.length }
  }
}
