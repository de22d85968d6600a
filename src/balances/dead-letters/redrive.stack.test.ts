/** Redrive over a real database: each letter is applied once, under concurrency too. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { openDatabase } from '../../platform/postgres/database'
import { backing } from '../../testing/backing'
import { applyProjection } from '../projection/apply-store'
import { decodeFrom } from '../projection/topics'
import { openReads } from '../queries/queries'
import { listDeadLetters } from './dead-letters-store'
import { openDeadLetterQueries } from './queries'
import { type RedrivenLetter, type RedriveSelection, redrive } from './redrive'

const anything = { cause: undefined, topic: undefined }
const everything: RedriveSelection = { filter: anything, after: undefined }

async function openDesk() {
  const { url } = await (await backing()).createDatabase('balances', 'balances')
  const database = openDatabase({ url, poolMax: 4, prepare: true, applicationName: 'test' })
  const { sql } = database
  const reads = openReads(database)
  let recordOffset = 0n
  return {
    ...database,
    reads,
    deadLetters: openDeadLetterQueries(database),
    /** As a consumer dead-letters them. */
    async deadLetter(...records: [value: string, second: number, topic?: string][]) {
      const deadLetters = records.map(([value, second, topic = 'balances']) => ({
        ...{ clusterId: 'cluster', topic, partition: 0, recordOffset: recordOffset++, lastOffset: null },
        ...{
          cause: 'not_json' as const,
          detail: 'not JSON',
          key: null,
          value: Buffer.from(value),
          headers: [],
        },
        recordAt: new Date(Date.UTC(2024, 0, 27) + second * 1000).toISOString(),
      }))
      await applyProjection(sql, (sql) => sql`select true`, {
        balances: [],
        entries: [],
        clients: [],
        deadLetters,
      })
    },
    redrive: (selection: RedriveSelection = everything, options: { dryRun?: boolean; limit?: number } = {}) =>
      redrive(database, selection, { read: decodeFrom, dryRun: false, ...options }),
    async account(id: string): Promise<string | undefined> {
      const found = await reads.balance(id)
      return found && `v${found.version} ${found.balanceMinor}`
    },
    async letters(): Promise<string[]> {
      const letters = await listDeadLetters(sql, anything, { before: undefined, limit: 100 })
      return letters.map(({ id, cause, attempts }) => `${id} ${cause} ${attempts}`)
    },
  }
}

let desk: Awaited<ReturnType<typeof openDesk>>
beforeAll(async () => {
  desk = await openDesk()
})
beforeEach(async () => void (await desk.sql`truncate balances, entries, dead_letters restart identity`))
afterAll(() => desk.close())

const outcomesOf = ({ letters }: { letters: RedrivenLetter[] }) =>
  letters.map(({ id, outcome }) => `${id} ${outcome}`)

/** A movement within one account, so that one record is one version of it. */
const course = (account: string, balance: number) =>
  balanceUpdated({
    ...{ account_id_from: account, balance_account_id_from: 0 },
    ...{ account_id_to: account, balance_account_id_to: balance },
  })

const version = (account: string, version: number) =>
  balanceUpdated({
    ...{ account_id_from: 'world', balance_account_id_from: -version, version_account_id_from: version },
    ...{ account_id_to: account, balance_account_id_to: version, version_account_id_to: version },
    ...{ amount: 1, currency: 'BRL', created_at: `2024-01-27T00:00:0${version}Z` },
  })

const balanceUpdated = (payload: object) => JSON.stringify({ Name: 'BalanceUpdated', Payload: payload })

test('a readable letter is applied and deleted, the rest is kept with its reason', async () => {
  await desk.deadLetter(
    [course('a', 1), 1],
    ['nonsense', 2],
    ['{"Name":"PixSent","Payload":{}}', 3, 'clients'],
    [course('a', 2), 4],
  )
  const expected = ['1 applied', '2 still_failing', '3 skipped', '4 applied']

  expect(outcomesOf(await desk.redrive(everything, { dryRun: true }))).toEqual(expected)
  expect(await desk.account('a')).toBeUndefined()
  expect(await desk.letters()).toEqual(['4 not_json 1', '3 not_json 1', '2 not_json 1', '1 not_json 1'])

  await desk.sql`update dead_letters set sent_at = now()`
  expect(outcomesOf(await desk.redrive())).toEqual(expected)
  expect(await desk.account('a')).toBe('v2 200')
  expect(await desk.letters()).toEqual(['2 not_json 2'])
  // The new failure is not published yet.
  expect(await desk.deadLetters.list(anything, { before: undefined, limit: 1 })).toMatchObject([
    { sentAt: null },
  ])
})

test('constraints of the database count, in a dry run too', async () => {
  await desk.sql`alter table balances add constraint odd check (balance_minor <> 100)`
  await desk.deadLetter([course('a', 1), 1], [course('a', 2), 2])
  for (const dryRun of [true, false]) {
    const { letters } = await desk.redrive(everything, { dryRun })
    expect(letters).toMatchObject([
      { outcome: 'still_failing', reason: { cause: 'not_storable', detail: expect.stringContaining('odd') } },
      { outcome: 'applied' },
    ])
  }
  expect(await desk.letters()).toEqual(['1 not_storable 2'])
  await desk.sql`alter table balances drop constraint odd`
})

test('an account never goes back to the older balance of a letter', async () => {
  await desk.deadLetter([course('a', 2), 2])
  await desk.redrive()
  await desk.deadLetter([course('a', 1), 1], [course('a', 3), 3])
  expect(outcomesOf(await desk.redrive())).toEqual(['2 superseded', '3 applied'])
  expect(await desk.account('a')).toBe('v2 300')
  expect(await desk.letters()).toEqual(['2 superseded 2'])
})

test('a gap in the statement closes once its letter is applied', async () => {
  await desk.deadLetter([version('a', 1), 1], [version('a', 2), 2], [version('a', 3), 3])
  expect(outcomesOf(await desk.redrive({ ids: [1n, 3n] }))).toEqual(['1 applied', '3 applied'])
  const statement = async () => {
    const period = { since: undefined, until: undefined }
    const found = await desk.reads.statement('a', period, { cursor: undefined, size: 10 })
    return found?.statement.lines.map((line) =>
      'gap' in line ? `gap ${line.gap.amountMinor}` : `v${line.entry.version}`,
    )
  }
  expect(await statement()).toEqual(['v3', 'gap 100', 'v1'])
  expect(outcomesOf(await desk.redrive({ ids: [1n, 2n] }))).toEqual(['1 gone', '2 applied'])
  expect(await statement()).toEqual(['v3', 'v2', 'v1'])
  expect(await desk.account('a')).toBe('v3 300')
})

test('letters are selected by cause and topic, page by page', async () => {
  await desk.deadLetter(...Array.from({ length: 5 }, (): [string, number] => ['nonsense', 1]))
  await desk.sql`update dead_letters set cause = 'no_envelope' where id = 2`
  await desk.sql`update dead_letters set topic = 'accounts' where id = 3`
  const filter = { cause: 'not_json', topic: 'balances' }
  const first = await desk.redrive({ filter, after: undefined }, { limit: 2 })
  expect([outcomesOf(first), first.next]).toEqual([['1 still_failing', '4 still_failing'], 4n])
  const second = await desk.redrive({ filter, after: first.next }, { limit: 2 })
  expect([outcomesOf(second), second.next]).toEqual([['5 still_failing'], undefined])
})

test('concurrent redrives apply each letter once', async () => {
  await desk.deadLetter(
    ...Array.from({ length: 20 }, (_, index): [string, number] => [course('a', index + 1), index]),
  )
  const answers = await Promise.all([desk.redrive(), desk.redrive(), desk.redrive()])
  const all = answers.flatMap(outcomesOf)
  expect(all.filter((one) => one.endsWith('applied'))).toHaveLength(20)
  expect(all.filter((one) => one.endsWith('gone'))).toHaveLength(all.length - 20)
  expect(await desk.account('a')).toBe('v20 2000')
  expect(await desk.letters()).toEqual([])
})
