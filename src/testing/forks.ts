/**
 * The ledger of a wallet that is restored again and again, and what it has published: for tests of what
 * readers make of it. One currency, and no client but the owners.
 */
import fc from 'fast-check'
import type { SaldoEvent } from '../contract/events/events'
import type { Decoded } from '../contract/wire/envelope'

export type Step =
  | { kind: 'move'; from: number; to: number; amount: number }
  | { kind: 'open' }
  | { kind: 'rename'; client: number }
  | { kind: 'back up' }
  /** To one of the backups so far; the start of the new epoch is published between the steps that follow. */
  | { kind: 'restore'; backup: number }
  | { kind: 'republish' }

const index = fc.nat(9)
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        ...{ kind: fc.constant('move' as const), from: index, to: index },
        amount: fc.integer({ min: 1, max: 9 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('open' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('rename' as const), client: index }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('back up' as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('restore' as const), backup: index }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('republish' as const) }) },
  ),
  { minLength: 5, maxLength: 40 },
)

type Event = Extract<Decoded, { kind: 'event' }>
/** What the ledger says in the end, in one form with what a reader has. */
export type Books = {
  /** `account version balance`, with whether it was opened. */
  accounts: string[]
  /** `account version amount balance`. */
  entries: string[]
  /** `client version name`. */
  clients: string[]
}

type Ledger = {
  /** The highest epoch that it knows of. */
  epoch: number
  /** By account, its entries. */
  accounts: Map<string, { amount: number; balance: number; event: Event['event'] }[]>
  clients: Map<string, number>
}

const createdAt = '2024-01-27T17:13:55.000Z'

/** All that was published, each event with its epoch, and the books in the end. */
export function liveThrough(history: readonly Step[]): { published: Event[]; books: Books } {
  const published: Event[] = []
  let ledger: Ledger = { epoch: 1, accounts: new Map(), clients: new Map() }
  let highest = 1
  let drawn = 0
  let starting: (() => void)[] = []
  const backups: Ledger[] = []
  const publish = (event: SaldoEvent) =>
    published.push({ kind: 'event', event, ...(ledger.epoch > 1 && { epoch: ledger.epoch }) })
  const opened = (id: string): SaldoEvent => ({
    name: 'AccountOpened',
    payload: { id, client_id: ownerOf(id), currency: 'BRL', created_at: createdAt },
  })
  const recorded = (id: string): SaldoEvent => {
    const version = ledger.clients.get(id) ?? 1
    const personal = { change_id: `${id}-${version}`, id, name: `${id} ${version}`, email: `${id}@a.com` }
    return { name: 'PersonalDataRecorded', payload: { ...personal, version, created_at: createdAt } }
  }
  const open = () => {
    // Never one of a lost future: ids are random.
    const id = `a${drawn++}`
    ledger.accounts.set(id, [])
    ledger.clients.set(ownerOf(id), 1)
    publish(recorded(ownerOf(id)))
    publish(opened(id))
  }
  const sideOf = (id: string, side: 'from' | 'to', change: number) => {
    const entries = ledger.accounts.get(id) ?? []
    return {
      [`account_id_${side}`]: id,
      [`balance_account_id_${side}`]: (entries.at(-1)?.balance ?? 0) + change,
      [`version_account_id_${side}`]: entries.length + (change === 0 ? 0 : 1),
    }
  }
  const updated = (from: string, to: string, amount: number, more: object): SaldoEvent =>
    ({
      name: 'BalanceUpdated',
      payload: {
        ...{ ...sideOf(from, 'from', -amount), ...sideOf(to, 'to', amount) },
        ...{ amount, currency: 'BRL', created_at: createdAt, ...more },
      },
    }) as SaldoEvent
  const nameOf = (number: number) => [...ledger.accounts.keys()][number % ledger.accounts.size] ?? ''
  const restore = (backup: Ledger) => {
    const withHistory = highest > backup.epoch
    highest++
    ledger = { ...structuredClone(backup), epoch: highest }
    const [ids, owners] = [[...ledger.accounts.keys()], [...ledger.clients.keys()]]
    starting = [
      ...owners.map((id) => () => publish(recorded(id))),
      ...ids.map((id) => () => publish(updated(id, id, 0, { starts_epoch: ledger.epoch }))),
      ...(withHistory ? [republish] : []),
      () => {
        const counts = { accounts: ids.length, clients: owners.length }
        const payload = { id: String(ledger.epoch), epoch: ledger.epoch, ...counts, created_at: createdAt }
        publish({ name: 'EpochStarted', payload })
      },
    ]
  }
  const republish = () => {
    for (const id of ledger.clients.keys()) publish(recorded(id))
    for (const id of ledger.accounts.keys()) publish(opened(id))
    for (const entries of ledger.accounts.values()) for (const { event } of entries) publish(event)
  }

  open()
  open()
  for (const step of history) {
    for (const next of starting.splice(0, 2)) next()
    if (step.kind === 'move') {
      const [from, to] = [nameOf(step.from), nameOf(step.to)]
      if (from === to) continue
      const event = updated(from, to, step.amount, { transaction_id: `t${published.length}` })
      publish(event)
      for (const [id, change] of [
        [from, -step.amount],
        [to, step.amount],
      ] as const) {
        const entries = ledger.accounts.get(id) ?? []
        entries.push({ amount: change, balance: (entries.at(-1)?.balance ?? 0) + change, event })
      }
    } else if (step.kind === 'open') open()
    else if (step.kind === 'rename') {
      const id = ownerOf(nameOf(step.client))
      ledger.clients.set(id, (ledger.clients.get(id) ?? 0) + 1)
      publish(recorded(id))
    } else if (step.kind === 'back up') backups.push(structuredClone(ledger))
    else if (step.kind === 'republish') republish()
    else {
      const backup = backups[step.backup % backups.length]
      if (backup) restore(backup)
    }
  }
  for (const next of starting) next()
  return { published, books: booksOf(ledger) }
}

const ownerOf = (account: string) => `owner of ${account}`

const booksOf = ({ accounts, clients }: Ledger): Books => ({
  accounts: [...accounts]
    .map(([id, entries]) => `${id} ${entries.length} ${(entries.at(-1)?.balance ?? 0) * 100} true`)
    .sort(),
  entries: [...accounts]
    .flatMap(([id, entries]) =>
      entries.map(({ amount, balance }, at) => `${id} ${at + 1} ${amount * 100} ${balance * 100}`),
    )
    .sort(),
  clients: [...clients].map(([id, version]) => `${id} ${version} ${id} ${version}`).sort(),
})
