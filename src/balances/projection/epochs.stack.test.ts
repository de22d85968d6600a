/** What a restored ledger makes void, in the tables: any history, in any order, in batches of any size. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Decoded } from '../../contract/wire/envelope'
import type { IncomingRecord } from '../../platform/kafka/records'
import { type Books, liveThrough, type Step, steps } from '../../testing/forks'
import { casesOf } from '../../testing/random'
import { log, openReadModel } from '../../testing/read-model'
import { BatchApplier } from './batch-applier'
import { loadOffsets } from './offsets-store'
import { Retries } from './retries'

const signal = new AbortController().signal
const recordAt = (offset: number, text: string) =>
  ({
    offset: BigInt(offset),
    key: null,
    value: Buffer.from(text),
    headers: [],
    timestampMs: 0,
  }) as never as IncomingRecord

/** The wrong backup is restored, and then a newer one, which has what the first one made void. */
const move = { kind: 'move', from: 0, to: 1, amount: 1 } as const
const anotherBackup: Step[] = [
  ...([{ kind: 'back up' }, move, move, { kind: 'back up' }, { kind: 'restore', backup: 0 }] as const),
  ...[1, 2, 3, 4].map((amount) => ({ ...move, from: 1, to: 0, amount })),
  ...([{ kind: 'restore', backup: 1 }, move, move, move, move] as const),
]

test('the tables have the books of the restored ledger', async () => {
  await using model = await openReadModel()
  const { sql } = model
  const database = { sql } as never
  const booksIn = async (): Promise<Books> => {
    const accounts = await sql<{ text: string }[]>`
      select concat_ws(' ', account_id, version, balance_minor, opened::text) as text from balances`
    const entries = await sql<{ text: string }[]>`
      select concat_ws(' ', account_id, version, amount_minor, balance_minor) as text from entries`
    const clients = await sql<
      { text: string }[]
    >`select concat_ws(' ', id, version, name) as text from clients`
    const textsOf = (rows: { text: string }[]) => rows.map(({ text }) => text).sort()
    return { accounts: textsOf(accounts), entries: textsOf(entries), clients: textsOf(clients) }
  }
  const order = fc.array(fc.nat(), { minLength: 1, maxLength: 50 })
  /** How far apart records may arrive, of partitions that are read at different speeds. */
  const reaches = fc.constantFrom(1, 30, 1000)
  const run = async (
    history: Parameters<typeof liveThrough>[0],
    ranks: number[],
    size: number,
    reach: number,
  ) => {
    await sql`truncate balances, entries, clients, changes, consumed_offsets, ledger_epochs`
    const { published, books } = liveThrough(history)
    const rankOf = (at: number) => at + ((ranks[at % ranks.length] ?? 0) % reach)
    const again = published.filter((_, at) => (ranks[at % ranks.length] ?? 0) % 4 === 0)
    const sent = [...published, ...again]
      .map((decoded, at) => ({ decoded, rank: rankOf(at) }))
      .sort((one, other) => one.rank - other.rank)
      .map(({ decoded }): Decoded => decoded)
    const read = (_: string, { value }: { value: Uint8Array | null }) =>
      sent[Number(Buffer.from(value ?? []).toString())] as Decoded
    const applierOf = () =>
      new BatchApplier({ database, log, read, retries: new Retries(log), recordsMax: 50 })
    // Two processes in turns, so that neither knows of what the other has applied.
    const appliers = [applierOf(), applierOf()]
    for (let from = 0, turn = 0; from < sent.length; from += size, turn++) {
      const [offset] = await loadOffsets(sql, 'c', [{ topic: 'balances', partition: 0 }])
      const records = sent.slice(from, from + size).map((_, at) => recordAt(from + at, String(from + at)))
      const to = BigInt(from + records.length)
      const applied = await appliers[turn % 2]?.apply([{ offset: offset as never, records, to }], signal)
      expect(applied).toEqual([true])
    }
    expect([...(await sql`select cause, detail from dead_letters`)]).toEqual([])
    expect(await booksIn()).toEqual(books)
  }
  await fc.assert(fc.asyncProperty(steps, order, fc.integer({ min: 1, max: 20 }), reaches, run), {
    numRuns: casesOf(40),
    examples: [[anotherBackup, [1], 1, 1]],
  })
})
