import { Refusal } from '../errors.ts'
import type { BatchHeader } from './record-batch.ts'

type ProducerState = { epoch: number; appended: BatchHeader[] }

/**
 * An idempotent producer keeps at most five requests in flight, so a repeat is always among the last five.
 */
const appendedKept = 5
const producersKept = 10_000
const sequences = 2 ** 31

/**
 * What one partition remembers of its idempotent producers: enough to answer a repeated batch and
 * to refuse a gap.
 */
export class ProducerStates {
  readonly #byProducer = new Map<number, ProducerState>()

  /**
   * The earlier append this batch repeats, or undefined when it is the next one. Refuses gaps and
   * producers that were fenced.
   */
  check(batch: BatchHeader): BatchHeader | undefined {
    const state = this.#byProducer.get(batch.producerId)
    // As in Apache Kafka: of a producer whose records are all gone any sequence is taken as the next.
    if (!state) return undefined
    if (batch.producerEpoch < state.epoch) throw new Refusal('INVALID_PRODUCER_EPOCH')
    // A new epoch starts with sequence 0.
    const appended = batch.producerEpoch === state.epoch ? state.appended : []
    const repeated = appended.find(
      ({ baseSequence, recordsCount }) =>
        baseSequence === batch.baseSequence && recordsCount === batch.recordsCount,
    )
    const last = appended.at(-1)
    const expected = last ? (last.baseSequence + last.recordsCount) % sequences : 0
    if (!repeated && batch.baseSequence !== expected)
      throw new Refusal(
        'OUT_OF_ORDER_SEQUENCE_NUMBER',
        `sequence ${batch.baseSequence}, expected ${expected}`,
      )
    return repeated
  }

  record(batch: BatchHeader): void {
    const { producerId, producerEpoch: epoch } = batch
    if (producerId < 0) return
    const known = this.#byProducer.get(producerId)
    const appended = known?.epoch === epoch ? [...known.appended.slice(1 - appendedKept), batch] : [batch]
    // Deleting first keeps the map in the order of last use, so that the first entry is the one to forget.
    this.#byProducer.delete(producerId)
    this.#byProducer.set(producerId, { epoch, appended })
    if (this.#byProducer.size > producersKept) {
      this.#byProducer.delete(this.#byProducer.keys().next().value ?? producerId)
    }
  }
}
