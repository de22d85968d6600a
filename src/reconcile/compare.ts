/**
 * Finds what is wrong in what was read: pure. The ledger is the measure. Whatever repeats it, an
 * event in the outbox, a record of a topic or a row of the read model, makes claims. Each is
 * compared with what the ledger says, and leaves a mark at the entry it is about; a walk along the
 * ledger then finds the entries that do not follow on, and those that lack a mark.
 */
import { type EventName, events } from '../contract/events/events'
import type { Claim } from './expectations'
import { type Fields, type Holder, type Known, keyOf, type LedgerEntry } from './ledger-store'

/**
 * An event tells of an entry; the read side has passed that event; the event waits in the outbox;
 * the read model shows the entry.
 */
export const marks = { told: 1, passed: 2, waits: 4, shown: 8 } as const
/** An entry is told of twice, by a balance and by a notification. The marks of the latter are further up. */
const notificationShift = 4

export type Where = 'ledger' | 'outbox' | 'topic' | 'read model'

export type Difference = {
  where: Where
  problem: string
  /** Or a client. Absent where it is about all accounts of a currency. */
  accountId?: string | undefined
  version?: bigint | undefined
  /** What led to the entry: a transaction, a hold, or the release of one. */
  transactionId?: string | undefined
  /** The event, and where it is. */
  event?: string | undefined
  place?: string
  currency?: string | null | undefined
  /** What the ledger says, and what is said instead. */
  expected?: Fields
  found?: Fields
  /** The dead letter that may have led to it. */
  deadLetter?: string | undefined
}
type About = Partial<Difference>

/** Something that repeats the ledger, and the mark that it leaves. */
export type Witness = {
  where: Exclude<Where, 'ledger'>
  event?: string
  place: string
  mark: number
  claims: Claim[]
}

type Watched = Holder & {
  /** By version; 0 is the opening. */
  marks: number[]
  /** The version whose balance the read model shows. */
  shown: bigint | undefined
  /** As its entries leave it, so far as they were walked. */
  walked: { version: bigint; balanceMinor: bigint; heldMinor: bigint }
}

export class Comparison {
  /** Of each place at most `differencesMax`; `total` counts all. */
  readonly differences: Difference[] = []
  total = 0
  /**
   * Entries and notifications that wait in the outbox, or that a topic may have told before it lost
   * its beginning; and entries that the read side has not come to.
   */
  readonly counts = { waiting: 0, behind: 0, unchecked: 0 }
  /** Topics, without prefix, that have lost their beginning. */
  readonly shortened = new Set<string>()
  readonly #holders = new Map<string, Watched>()
  /** The newest entry beyond the watermark, by account. */
  readonly #newer = new Map<string, bigint>()

  constructor(readonly differencesMax: number) {}

  /** Accounts and clients as they stand at the watermark. What comes to be later is not missed anywhere. */
  watch(holders: readonly Holder[]): void {
    for (const holder of holders) {
      const walked = { version: 0n, balanceMinor: 0n, heldMinor: 0n }
      this.#holders.set(holder.id, { ...holder, marks: [], shown: undefined, walked })
    }
  }

  /** How many there are. */
  get entries(): number {
    return this.#holders.values().reduce((sum, { version }) => sum + Number(version), 0)
  }

  /** The read model shows the balance of this version. */
  show(accountId: string, version: bigint): void {
    const holder = this.#holders.get(accountId)
    if (holder) holder.shown = version
  }

  /** `known` is what the ledger says of all that is claimed, looked up after it was claimed. */
  hear({ claims, mark, ...witness }: Witness, known: ReadonlyMap<string, Known>): void {
    for (const claim of claims) {
      const kept = known.get(keyOf(claim))
      const about = { ...witness, ...aboutOf(claim, kept) }
      if (!kept) {
        this.#differ(about, 'the ledger does not know it', { found: claim.fields })
        continue
      }
      const holder = this.#holders.get(kept.holderId)
      const index = Number(kept.version)
      if (holder && claim.tells)
        holder.marks[index] =
          (holder.marks[index] ?? 0) | (isNotification(claim) ? mark << notificationShift : mark)
      const contrast = contrastOf(kept.fields, claim.fields)
      if (contrast) this.#differ(about, 'the ledger says otherwise', contrast)
    }
  }

  /** All entries in the order of account and version, after everything was heard. */
  walk(entries: readonly LedgerEntry[]): void {
    for (const {
      accountId,
      version,
      transactionId,
      amountMinor,
      bookedMinor,
      balanceMinor,
      heldMinor,
    } of entries) {
      const holder = this.#holders.get(accountId)
      if (!holder || version > holder.version) {
        this.#newer.set(accountId, version)
        continue
      }
      const about: About = { where: 'ledger', accountId, version, transactionId, currency: holder.currency }
      const before = holder.walked
      const follows = version === before.version + 1n
      if (!follows) this.#differ(about, `there is no entry between version ${before.version} and this one`)
      const expected = {
        amountMinor: bookedMinor ?? 0n,
        balanceMinor: follows ? before.balanceMinor + (bookedMinor ?? amountMinor) : balanceMinor,
      }
      const contrast = contrastOf(expected, { amountMinor, balanceMinor })
      if (contrast) this.#differ(about, 'the entry does not follow on', contrast)
      // On with what it should be: one wrong number is told once.
      holder.walked = { version, balanceMinor: expected.balanceMinor, heldMinor }

      const mark = holder.marks[Number(version)] ?? 0
      this.#expectShown(holder, about, mark, 'BalanceUpdated')
      const notification = mark >> notificationShift
      if (amountMinor < 0n) this.#seek(about, notification, 'TransactionCreated')
      else if (amountMinor === 0n)
        this.#seek(about, notification, heldMinor < before.heldMinor ? 'HoldReleased' : 'HoldPlaced')
    }
  }

  /**
   * Accounts as they stand after the walk. What came to be since the watermark is part of them, or
   * should not be there.
   */
  settle(holders: readonly Holder[]): void {
    for (const { id, version } of holders)
      if ((this.#newer.get(id) ?? version + 1n) <= version) this.#newer.delete(id)
  }

  /** When all was settled: what is to be said of accounts and clients as a whole. */
  finish(): void {
    for (const [accountId, version] of this.#newer)
      this.#differ({ where: 'ledger', accountId, version }, 'its account has not come as far as this entry')

    const sums = new Map<string, bigint>()
    for (const holder of this.#holders.values()) {
      const { id: accountId, currency, version, balanceMinor, heldMinor, walked } = holder
      const about: About = { where: 'ledger', accountId, version, currency }
      const contrast = contrastOf(walked, { version, balanceMinor, heldMinor })
      if (contrast) this.#differ(about, 'the account is not what its entries make of it', contrast)
      const event = currency === null ? 'ClientRegistered' : 'AccountOpened'
      this.#expectShown(holder, { ...about, version: 0n }, holder.marks[0] ?? 0, event)
      if (currency !== null) sums.set(currency, (sums.get(currency) ?? 0n) + balanceMinor)
    }
    for (const [currency, balanceMinor] of sums) {
      const contrast = contrastOf({ balanceMinor: 0n }, { balanceMinor })
      if (contrast)
        this.#differ({ where: 'ledger', currency }, 'all accounts together do not hold zero', contrast)
    }
  }

  /** Whether the event is on its topic, or else, how it is accounted for. */
  #seek(about: About, mark: number, event: EventName): 'told' | 'waiting' | 'unchecked' | 'missing' {
    const { topic } = events[event]
    if (mark & marks.told) return 'told'
    if (!(mark & marks.waits) && !this.shortened.has(topic)) {
      this.#differ(
        { ...about, where: 'topic', event, place: topic },
        'no record tells of it, and no row of the outbox',
      )
      return 'missing'
    }
    const sought = mark & marks.waits ? 'waiting' : 'unchecked'
    this.counts[sought]++
    return sought
  }

  /** That an event tells of it, and that the read model shows it unless it cannot have heard of it. */
  #expectShown(holder: Watched, about: About, mark: number, event: EventName): void {
    const sought = this.#seek(about, mark, event)
    const { shown = about.version ?? 0n, version } = holder
    const isBehind = about.version === version && shown < version
    if (mark & marks.shown && !isBehind) return
    const problem = mark & marks.shown ? `the balance is still that of version ${shown}` : 'it is missing'
    if (mark & marks.passed || (sought === 'unchecked' && isBehind))
      this.#differ({ ...about, where: 'read model' }, `${problem}, though its event was consumed`)
    else if (sought === 'told') this.counts.behind++
  }

  #differ(about: About, problem: string, contrast: Pick<Difference, 'expected' | 'found'> = {}): void {
    const { where = 'ledger' } = about
    this.total++
    if (this.differences.filter((other) => other.where === where).length < this.differencesMax)
      this.differences.push({ ...about, where, problem, ...contrast })
  }
}

const isNotification = ({ subject }: Claim): boolean => /^(Transaction|Hold)/.test(subject)

/** Whom a claim is about, as the ledger says or else as it says itself. */
function aboutOf({ subject, name, fields }: Claim, kept: Known | undefined): About {
  // None of these is money.
  const { currency, transactionId, accountIdFrom } = { ...fields, ...kept?.fields } as Record<
    string,
    string | null
  >
  const [accountId, version = ''] = subject === 'entry' ? name.split(':') : [accountIdFrom ?? name]
  return {
    accountId: kept?.holderId ?? accountId,
    version: kept?.version ?? (/^\d+$/.test(version) ? BigInt(version) : undefined),
    transactionId: (accountIdFrom ? name : transactionId) ?? undefined,
    currency,
  }
}

/** The fields of which something else is found than expected; undefined when there are none. */
function contrastOf(expected: Fields, found: Fields): { expected: Fields; found: Fields } | undefined {
  const wrong = Object.keys(found).filter((field) => found[field] !== expected[field])
  const only = (fields: Fields) => Object.fromEntries(wrong.map((field) => [field, fields[field] ?? null]))
  return wrong.length > 0 ? { expected: only(expected), found: only(found) } : undefined
}
