/**
 * Finds differences in what was read. Pure. The ledger is authoritative. Every source that repeats
 * it (an event in the outbox, a record of a topic, a row of the read model) makes assertions: each
 * is compared with the ledger, and leaves evidence at the entry it is about. A pass over the ledger
 * then finds entries that do not follow from the previous one, and entries without evidence.
 */
import { type EventName, events } from '../contract/events/events'
import type { Assertion } from './assertions'
import {
  type Fields,
  type Holder,
  isPersonal,
  isVersioned,
  keyOf,
  type LedgerEntry,
  type LedgerRecord,
} from './ledger-store'

/**
 * Bits, by entry: an event of it is published; the read side has consumed that event; the event is
 * in the outbox; the read model shows the entry.
 */
export const evidence = { published: 1, consumed: 2, waiting: 4, shown: 8 } as const

export type Where = 'ledger' | 'outbox' | 'topic' | 'read model'

export type Difference = {
  where: Where
  problem: string
  /** Or a client. Absent where it is about all accounts of a currency, or about a record itself. */
  accountId?: string | undefined
  version?: bigint | undefined
  /** What led to the entry: a transaction, a hold, or the release of one. */
  transactionId?: string | undefined
  /** The event, and where it was read. */
  event?: string | undefined
  place?: string
  currency?: string | null | undefined
  /** By the ledger, and by the source. */
  expected?: Fields
  found?: Fields
  /** The dead letter that may be the cause. */
  deadLetter?: string | undefined
}
type Context = Partial<Difference>

/** Something that repeats the ledger, and the evidence it leaves. */
export type Source = {
  where: Exclude<Where, 'ledger'>
  event?: string
  place: string
  evidence: number
  assertions: Assertion[]
  /** Of the ledger, when it was published: an earlier one may have a future that the ledger has lost. */
  isOfEarlierEpoch?: boolean
}

type TrackedHolder = Holder & {
  /** By version; 0 is the opening. An entry has two events, a balance and a notification. */
  evidence: number[]
  notifications: number[]
  /** The version whose balance the read model shows. */
  shown: bigint | undefined
  /** After the entries verified so far. */
  running: { version: bigint; balanceMinor: bigint; heldMinor: bigint }
}

/**
 * Call in this order: `track`, `observe` and `trackShownVersion`, `verifyEntries`,
 * `confirmHolders`, `summarize`.
 */
export class Comparison {
  /** At most `differencesMax` per `where`; `total` counts all. */
  readonly differences: Difference[] = []
  total = 0
  /**
   * Entries and notifications that are still in the outbox; entries that the read side has not reached;
   * those whose records a topic may have deleted; and events of earlier epochs that the ledger has lost.
   */
  readonly counts = { waiting: 0, behind: 0, unchecked: 0, lost: 0 }
  /** Topics, without prefix, whose first records are deleted. */
  readonly truncatedTopics = new Set<string>()
  readonly #holders = new Map<string, TrackedHolder>()
  /** The newest entry beyond the watermark, by account. */
  readonly #newer = new Map<string, bigint>()

  constructor(readonly differencesMax: number) {}

  /** Accounts and clients at the watermark. What is written later is not missed anywhere. */
  track(holders: readonly Holder[]): void {
    for (const holder of holders) {
      const running = { version: 0n, balanceMinor: 0n, heldMinor: 0n }
      const unseen = { evidence: [], notifications: [], shown: undefined }
      this.#holders.set(holder.id, { ...holder, ...unseen, running })
    }
  }

  get entryCount(): number {
    return this.#holders.values().reduce((sum, { version }) => sum + Number(version), 0)
  }

  /** The read model shows the balance of this version. */
  trackShownVersion(accountId: string, version: bigint): void {
    const holder = this.#holders.get(accountId)
    if (holder) holder.shown = version
  }

  /** `records` are the ledger's for all assertions, loaded after the source was read. */
  observe(
    { assertions, evidence: bits, isOfEarlierEpoch = false, ...source }: Source,
    records: ReadonlyMap<string, LedgerRecord>,
  ): void {
    for (const assertion of assertions) {
      const record = records.get(keyOf(assertion))
      const context = { ...source, ...contextOf(assertion, record) }
      if (isOfEarlierEpoch && (!record || contrastOf(record.fields, assertion.fields))) {
        this.counts.lost++
        continue
      }
      if (!record) {
        this.#report(context, 'not in the ledger', { found: assertion.fields })
        continue
      }
      const holder = this.#holders.get(record.holderId)
      if (assertion.subject === 'PersonalDataRecorded' && record.fields.clientName === null) {
        // Of the read model an erasure that it has consumed and does not show is reported.
        if (holder?.erasure === 'purged' && source.where === 'topic')
          this.#report(context, 'holds personal data that was erased')
        continue
      }
      if (assertion.isEvidence && holder) leave(holder, assertion, record.version, bits)
      const contrast = contrastOf(record.fields, assertion.fields)
      if (contrast) this.#report(context, 'mismatch with ledger', contrast)
    }
  }

  /** A record that is not what it was when it was signed. */
  refuseRecord(place: string, problem: string): void {
    this.#report({ where: 'topic', place }, problem)
  }

  /** The newest personal data of these clients is about to be published. */
  trackWaitingClients(clientIds: readonly string[]): void {
    for (const id of clientIds) {
      const holder = this.#holders.get(id)
      if (holder) leave(holder, { subject: 'PersonalDataRecorded' }, holder.version, evidence.waiting)
    }
  }

  /** All entries, ordered by account and version, after every source was observed. */
  verifyEntries(entries: readonly LedgerEntry[]): void {
    for (const entry of entries) {
      const holder = this.#holders.get(entry.accountId)
      if (!holder || entry.version > holder.version) this.#newer.set(entry.accountId, entry.version)
      else this.#verifyEntry(entry, holder)
    }
  }

  /** Accounts as they are after the entries were read: newer entries must be part of them. */
  confirmHolders(holders: readonly Holder[]): void {
    for (const { id, version } of holders)
      if ((this.#newer.get(id) ?? version + 1n) <= version) this.#newer.delete(id)
  }

  /** Accounts and clients as a whole, at the end. */
  summarize(): void {
    for (const [accountId, version] of this.#newer)
      this.#report({ where: 'ledger', accountId, version }, 'the entry is newer than its account')

    const sums = new Map<string, bigint>()
    for (const holder of this.#holders.values()) {
      const { id: accountId, currency, version, balanceMinor, heldMinor, running } = holder
      const context = { where: 'ledger', accountId, version, currency } as const
      if (currency === null) {
        this.#summarizeClient(holder)
        continue
      }
      const contrast = contrastOf(running, { version, balanceMinor, heldMinor })
      if (contrast) this.#report(context, 'the account does not match its entries', contrast)
      this.#expectShown(holder, { ...context, version: 0n }, 'AccountOpened')
      sums.set(currency, (sums.get(currency) ?? 0n) + balanceMinor)
    }
    for (const [currency, balanceMinor] of sums) {
      const contrast = contrastOf({ balanceMinor: 0n }, { balanceMinor })
      if (contrast)
        this.#report({ where: 'ledger', currency }, 'ledger does not balance in this currency', contrast)
    }
  }

  /** Every version is published, of its personal data the newest alone. */
  #summarizeClient(holder: TrackedHolder): void {
    const { id: accountId, version: newest } = holder
    const contextOf = (version: bigint) => ({ where: 'ledger', accountId, version }) as const
    for (let version = 0n; version <= newest; version++) {
      const bits = holder.notifications[Number(version)] ?? 0
      this.#expectEvent(contextOf(version), bits, version === 0n ? 'ClientRegistered' : 'ClientUpdated')
    }
    const event = holder.erasure === null ? 'PersonalDataRecorded' : 'PersonalDataErased'
    this.#expectShown(holder, contextOf(newest), event)
  }

  #verifyEntry(entry: LedgerEntry, holder: TrackedHolder): void {
    const { accountId, version, transactionId, amountMinor, bookedMinor, balanceMinor, heldMinor } = entry
    const moved = entry.isLeg ? 'PostingsCreated' : 'TransactionCreated'
    const { currency, running: previous } = holder
    const context = { where: 'ledger', accountId, version, transactionId, currency } as const
    const follows = version === previous.version + 1n
    if (!follows) this.#report(context, `entries are missing after version ${previous.version}`)
    const expected = {
      amountMinor: bookedMinor ?? 0n,
      balanceMinor: follows ? previous.balanceMinor + (bookedMinor ?? amountMinor) : balanceMinor,
    }
    const contrast = contrastOf(expected, { amountMinor, balanceMinor })
    if (contrast) this.#report(context, 'the entry does not follow from the previous one', contrast)
    // Continue with the expected balance, so that one wrong number is reported once.
    holder.running = { version, balanceMinor: expected.balanceMinor, heldMinor }

    this.#expectShown(holder, context, 'BalanceUpdated')
    const bits = holder.notifications[Number(version)] ?? 0
    if (amountMinor < 0n) this.#expectEvent(context, bits, moved)
    else if (amountMinor === 0n) {
      const event = notificationOf(heldMinor - previous.heldMinor, entry.changeKind)
      if (event) this.#expectEvent(context, bits, event)
      else this.#report(context, 'the entry changes nothing')
    }
  }

  /** Reports an event that is neither published nor waiting, unless its topic may have deleted it. */
  #expectEvent(context: Context, bits: number, event: EventName) {
    const { topic } = events[event]
    if (bits & evidence.published) return 'published'
    if (!(bits & evidence.waiting) && !this.truncatedTopics.has(topic)) {
      const problem = 'no record on the topic and no row in the outbox'
      this.#report({ ...context, where: 'topic', event, place: topic }, problem)
      return 'missing'
    }
    const state = bits & evidence.waiting ? 'waiting' : 'unchecked'
    this.counts[state]++
    return state
  }

  /** Expects the event, and the read model to show it once it is consumed. */
  #expectShown(holder: TrackedHolder, context: Context & { version: bigint }, event: EventName): void {
    const bits = holder.evidence[Number(context.version)] ?? 0
    const state = this.#expectEvent(context, bits, event)
    const { shown = context.version, version } = holder
    const isBehind = context.version === version && shown < version
    if (bits & evidence.shown && !isBehind) return
    const problem = bits & evidence.shown ? `the balance is still at version ${shown}` : 'missing'
    if (bits & evidence.consumed || (state === 'unchecked' && isBehind))
      this.#report({ ...context, where: 'read model' }, `${problem} although its event was consumed`)
    else if (state === 'published') this.counts.behind++
  }

  #report(context: Context, problem: string, contrast: Pick<Difference, 'expected' | 'found'> = {}): void {
    const { where = 'ledger' } = context
    this.total++
    if (this.differences.filter((other) => other.where === where).length < this.differencesMax)
      this.differences.push({ ...context, where, problem, ...contrast })
  }
}

/** The notification of an entry that moves nothing. */
function notificationOf(heldMinor: bigint, changeKind: LedgerEntry['changeKind']): EventName | undefined {
  if (heldMinor !== 0n) return heldMinor < 0n ? 'HoldReleased' : 'HoldPlaced'
  return changeKind === null ? undefined : changeKind === 'expiry' ? 'HoldExtended' : 'AccountUpdated'
}

const isNotification = ({ subject }: Pick<Assertion, 'subject'>): boolean =>
  subject === 'AccountUpdated' ||
  (subject !== 'entry' && ['transactions', 'clients'].includes(events[subject].topic))

/** Leaves evidence of a version. Personal data may be newer than the watermark, and covers it. */
function leave(holder: TrackedHolder, about: Pick<Assertion, 'subject'>, version: bigint, bits: number) {
  const found = isNotification(about) ? holder.notifications : holder.evidence
  const index = Number(isPersonal(about.subject) && version > holder.version ? holder.version : version)
  found[index] = (found[index] ?? 0) | bits
}

/** What an assertion is about, by the ledger or else by itself. */
function contextOf({ subject, name, fields }: Assertion, record: LedgerRecord | undefined): Context {
  // None of these is money.
  const { currency, transactionId, accountIdFrom } = { ...fields, ...record?.fields } as Record<
    string,
    string | null
  >
  const [accountId, version = ''] = isVersioned(subject) ? name.split(':') : [accountIdFrom ?? name]
  return {
    accountId: record?.holderId ?? accountId,
    version: record?.version ?? (/^\d+$/.test(version) ? BigInt(version) : undefined),
    transactionId: (accountIdFrom ? name.split('/')[0] : transactionId) ?? undefined,
    currency,
  }
}

/** Fields whose values are not repeated in a report. */
const personalFields = ['clientName', 'email']

/** The fields found to be other than expected; undefined when there are none. */
function contrastOf(expected: Fields, found: Fields): { expected: Fields; found: Fields } | undefined {
  const wrong = Object.keys(found).filter((field) => found[field] !== expected[field])
  const only = (fields: Fields) =>
    Object.fromEntries(
      wrong.map((field) => [field, personalFields.includes(field) ? '(not shown)' : (fields[field] ?? null)]),
    )
  return wrong.length > 0 ? { expected: only(expected), found: only(found) } : undefined
}
