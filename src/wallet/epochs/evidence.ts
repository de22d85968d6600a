/**
 * Whether the broker has events that the ledger does not know, which means that the ledger was restored: an
 * event is in the ledger before it is sent. Pure.
 */
import { isUuid } from '../../contract/id'
import { epochHeader, firstEpoch, walletSource } from '../../contract/wire/envelope'
import type { IncomingRecord } from '../../platform/kafka/records'

/** An event of ours on the broker. */
export type PublishedEvent = {
  /** `topic/partition/offset`. */
  place: string
  /** `ce_id`: its name and subject. */
  name: string
  /** What it is about. */
  id: string
  epoch: number
}

/** Undefined for a record of another writer. */
export function publishedEventOf(
  place: string,
  { headers }: Pick<IncomingRecord, 'headers'>,
): PublishedEvent | undefined {
  const texts = new Map(headers.map(([name, value]) => [name.toString(), value?.toString()]))
  const name = texts.get('ce_id') ?? ''
  const [, id = ''] = name.split('/')
  if (texts.get('ce_source') !== walletSource || !isUuid(id)) return undefined
  return { place, name, id: id.toLowerCase(), epoch: Number(texts.get(epochHeader) ?? firstEpoch) }
}

export type Evidence = {
  /** The highest epoch on the broker. */
  epoch: number
  /** An event that the ledger has lost. */
  lost: PublishedEvent | undefined
}

/**
 * Events of earlier epochs are no evidence: those that were lost with them stay at the end of a partition to
 * which nothing has been written since.
 */
export function judge(
  published: readonly PublishedEvent[],
  { epoch, known }: { epoch: number; known: ReadonlySet<string> },
): Evidence {
  const lost = published.filter((one) => one.epoch > epoch || (one.epoch === epoch && !known.has(one.id)))
  return {
    epoch: published.reduce((highest, one) => Math.max(highest, one.epoch), firstEpoch),
    lost: lost[0],
  }
}
