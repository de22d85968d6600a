/**
 * The epoch of the ledger: the number that its events carry. It is 1, and one more after each restore, so
 * that readers tell what the ledger has lost from what it has written since. See docs/backup.md.
 *
 * All of it runs in the process that leads the outbox: before its first send it compares the ends of the
 * topics with the ledger, and between sends it puts the start of a new epoch into the outbox.
 */
import { topics } from '../../contract/events/events'
import { firstEpoch } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import { protocolErrorOf } from '../../platform/kafka/broker-fault'
import type { Kafka } from '../../platform/kafka/client'
import { type PartitionOffset, partitionName } from '../../platform/kafka/offsets'
import type { Database } from '../../platform/postgres/database'
import type { Check } from '../../platform/process/service'
import type { Log } from '../../platform/telemetry/log'
import { accountAtStart, epochToEvent, personalDataToEvent } from '../events'
import { enqueueReplay, measureOutbox } from '../outbox/outbox-store'
import { type EventPage, eventPages } from '../republish/republish'
import {
  advanceStart,
  completeStart,
  countHolders,
  findEpoch,
  findKnownIds,
  type LedgerEpoch,
  listAccounts,
  listClients,
  startEpoch,
} from './epochs-store'
import { judge, publishedEventOf } from './evidence'

export type EpochsOptions = {
  database: Database
  kafka: Pick<Kafka, 'endOffsets' | 'recordsAt'>
  topicPrefix: string
  /** What to do when the broker has events that the ledger has lost. */
  onLostEvents: 'start_epoch' | 'refuse'
  log: Log
}

/** Records at the end of each partition that are compared with the ledger. */
const comparedMax = 3
/** Clients or accounts in one step. */
const pageSize = 500
/** No more are added while so many events wait, so that new ones are not delayed much. */
const pendingMax = 1000
/** How often it looks for an epoch that an operator has started, in milliseconds. */
const pollMs = 1000

export class Epochs {
  readonly #options: EpochsOptions
  #epoch = firstEpoch
  #nextMs = 0
  #progress: { done: number; total: number } | undefined
  /** From the first event on: a process that takes over begins again, which does no harm. */
  #history: AsyncGenerator<EventPage> | undefined

  constructor(options: EpochsOptions) {
    this.#options = options
  }

  /** What events carry that are sent now. */
  get current(): number {
    return this.#epoch
  }

  /** Before the first send of a leader. Throws when a lost future has to be looked at by an operator. */
  async settle(): Promise<void> {
    const { database, onLostEvents, log } = this.#options
    const stored = await findEpoch(database.sql)
    const { epoch, lost } = await this.#compare(stored.epoch)
    if (lost) {
      const evidence = `${lost.name} at ${lost.place}, epoch ${lost.epoch}`
      const finding = `the broker has events that the ledger has lost, such as ${evidence}: was it restored?`
      if (onLostEvents === 'refuse' && stored.isComplete)
        throw new Error(`${finding} Start a new epoch with \`saldo epoch --start\``)
      log.error({ lost, epoch: stored.epoch }, `${finding} Starting a new epoch`)
      await startEpoch(database, { cause: 'detected', evidence, above: epoch })
    }
    this.#adopt(await findEpoch(database.sql))
  }

  /** Does a little. True when there is more to do at once. Throws a driver's error. */
  async step(): Promise<boolean> {
    if (!this.#progress && performance.now() < this.#nextMs) return false
    this.#nextMs = performance.now() + pollMs
    const { database } = this.#options
    const stored = await findEpoch(database.sql)
    this.#adopt(stored)
    if (stored.isComplete) {
      this.#progress = undefined
      return false
    }
    const { pending } = await measureOutbox(database.sql)
    if (pending > pendingMax) return false
    await this.#enqueueNext(stored)
    return true
  }

  health(leads: boolean): Check {
    if (leads && this.#progress) {
      const { done, total } = this.#progress
      const output = `epoch ${this.#epoch} starts: ${done} of ${total} clients and accounts`
      return { status: 'warn', output }
    }
    return { status: 'pass', output: `epoch ${this.#epoch}` }
  }

  #adopt({ epoch, cause, isComplete }: LedgerEpoch): void {
    if (epoch !== this.#epoch && epoch > firstEpoch)
      this.#options.log.warn({ epoch, cause, isComplete }, 'the ledger was restored: events carry its epoch')
    this.#epoch = epoch
  }

  /** The next page, with how far it came, in one transaction: a crash repeats none and leaves out none. */
  async #enqueueNext({ epoch, ...stored }: LedgerEpoch): Promise<void> {
    const { database } = this.#options
    const total = this.#progress?.total ?? (await countHolders(database.sql))
    this.#progress = { done: Number(stored.clients + stored.accounts), total }
    const clients = await listClients(database, { after: stored.clientsAfter, limit: pageSize })
    const accounts =
      clients.length > 0 ? [] : await listAccounts(database, { after: stored.accountsAfter, limit: pageSize })
    const lastClient = clients.at(-1)?.client.id
    const lastAccount = accounts.at(-1)?.id
    if (clients.length === 0 && accounts.length === 0) return this.#enqueueEnd({ epoch, ...stored })
    const events = [
      ...clients.map(personalDataToEvent),
      ...accounts.map((account) => accountAtStart(account, epoch)),
    ]
    await database.sql.begin(async (tx) => {
      await enqueueReplay(tx, events)
      await advanceStart(tx, epoch, {
        ...(lastClient !== undefined && { clientsAfter: lastClient }),
        ...(lastAccount !== undefined && { accountsAfter: lastAccount }),
        ...{ clients: clients.length, accounts: accounts.length },
      })
    })
  }

  /** The history, where it is needed, and then the event that ends the start. */
  async #enqueueEnd(stored: LedgerEpoch): Promise<void> {
    const { database, log } = this.#options
    if (stored.withHistory) {
      this.#history ??= eventPages(database, { accountId: undefined, since: new Date(0) })
      const page = await this.#history.next()
      if (!page.done) return enqueueReplay(database.sql, page.value.events)
    }
    this.#history = undefined
    await database.sql.begin(async (tx) => {
      await enqueueReplay(tx, [endOf(stored)])
      await completeStart(tx, stored.epoch)
    })
    const { epoch, clients, accounts } = stored
    const counts = { epoch, clients: Number(clients), accounts: Number(accounts) }
    log.warn(counts, 'the state at the start of the epoch is in the outbox')
  }

  /** What the ends of all topics say. Records of other writers, and what cannot be read, say nothing. */
  async #compare(epoch: number) {
    const { database, kafka, topicPrefix, log } = this.#options
    try {
      const extents = await kafka.endOffsets(topics.map((topic) => topicPrefix + topic))
      const ends = extents.flatMap(({ topic, partition, first, offset }): PartitionOffset[] => {
        const count = Math.min(Number(offset - first), comparedMax)
        return Array.from({ length: count }, (_, index) => ({
          ...{ topic, partition, offset: offset - BigInt(index + 1) },
        }))
      })
      const records = await kafka.recordsAt(ends)
      const published = ends.flatMap(({ topic, partition, offset }, index) => {
        const record = records[index]
        return (record && publishedEventOf(`${partitionName(topic, partition)}/${offset}`, record)) ?? []
      })
      const ids = published.map(({ id }) => id)
      return judge(published, { epoch, known: await findKnownIds(database.sql, ids) })
    } catch (error) {
      if (!/AUTHORIZATION_FAILED/.test(protocolErrorOf(error)?.type ?? '')) throw error
      log.warn({}, `whether the ledger was restored cannot be seen: ${messageOf(error)}`)
      return judge([], { epoch, known: new Set() })
    }
  }
}

const endOf = ({ id, epoch, clients, accounts, startedAt }: LedgerEpoch) =>
  epochToEvent({
    ...{ id, epoch, clients: Number(clients), accounts: Number(accounts) },
    startedAt: new Date(startedAt),
  })
