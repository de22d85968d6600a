import { Refusal } from '../error-codes.ts'
import type { BatchHeader } from './record-batch.ts'

type Appended = { baseSequence: number; lastSequence: number; baseOffset: number; lastOffset: number }
type ProducerState = { epoch: number; appended: Appended[] }

/** An idempotent producer keeps at most five requests in flight, so a repeat is always among the last five. */
const appendedKept = 5
const producersKept = 10_000
const sequences = 2 ** 31

/** What one partition remembers of its idempotent producers: enough to answer a repeated batch and to refuse a gap. */
export class ProducerStates {
  #byProducer = new Map<number, ProducerState>()

  /** The earlier append this batch repeats, or undefined when it is the next one. Refuses gaps and producers that were fenced. */
  check(batch: BatchHeader): Appended | undefined {
    if (batch.producerId < 0) return undefined
    const state = this.#byProducer.get(batch.producerId)
    // As in Apache Kafka: of a producer whose records are all gone any sequence is taken as the next.
    if (!state) return undefined
    if (batch.producerEpoch < state.epoch) throw new Refusal('INVALID_PRODUCER_EPOCH')
    if (batch.producerEpoch > state.epoch) {
      if (batch.baseSequence === 0) return undefined
      throw new Refusal('OUT_OF_ORDER_SEQUENCE_NUMBER', 'a new epoch starts with sequence 0')
    }
    const lastSequence = lastSequenceOf(batch)
    const repeated = state.appended.find(
      (earlier) => earlier.baseSequence === batch.baseSequence && earlier.lastSequence === lastSequence,
    )
    if (repeated) return repeated
    const expected = ((state.appended.at(-1)?.lastSequence ?? -1) + 1) % sequences
    if (batch.baseSequence !== expected) {
      throw new Refusal('OUT_OF_ORDER_SEQUENCE_NUMBER', `sequence ${batch.baseSequence}, expected ${expected}`)
    }
    return undefined
  }

  record(batch: BatchHeader, baseOffset: number): void {
    if (batch.producerId < 0) return
    const known = this.#byProducer.get(batch.producerId)
    const state = known?.epoch === batch.producerEpoch ? known : { epoch: batch.producerEpoch, appended: [] }
    const lastOffset = baseOffset + batch.lastOffset - batch.baseOffset
    state.appended.push({
      baseSequence: batch.baseSequence,
      lastSequence: lastSequenceOf(batch),
      baseOffset,
      lastOffset,
    })
    if (state.appended.length > appendedKept) state.appended.shift()
    // Deleting first keeps the map in the order of last use, so that the first entry is the one to forget.
    this.#byProducer.delete(batch.producerId)
    this.#byProducer.set(batch.producerId, state)
    if (this.#byProducer.size > producersKept) {
      for (const producerId of this.#byProducer.keys()) {
        this.#byProducer.delete(producerId)
        break
      }
    }
  }

  snapshot(): string {
    return JSON.stringify([...this.#byProducer])
  }

  restore(snapshot: string): void {
    this.#byProducer = new Map(JSON.parse(snapshot))
  }
}

function lastSequenceOf(batch: BatchHeader): number {
  return (batch.baseSequence + batch.lastOffset - batch.baseOffset) % sequences
}
