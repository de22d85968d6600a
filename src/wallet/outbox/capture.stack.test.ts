/** That change data capture can take the relay's place, by the settings that the documentation gives. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { getTableColumns } from 'drizzle-orm'
import { decodeRecord } from '../../contract/wire/envelope'
import { eventually } from '../../testing/eventually'
import { headersOf } from '../../testing/headers'
import { countPending, eventsIn, holdLead } from '../../testing/outbox'
import { eva, frank, startWallets } from '../../testing/wallets'
import { grants } from '../db/grants'
import { outboxEvents } from '../db/schema'

const documentation = await Bun.file(join(import.meta.dir, '../../../docs/operations.md')).text()
const section = documentation.slice(documentation.indexOf('## Debezium instead of the relay'))
const [, block = ''] = /```properties\n(.*?)```/s.exec(section) ?? []
const [, statement = ''] = /```sql\n(.*?)```/s.exec(section) ?? []
const settings = new Map(
  block.split('\n').map((line) => line.replace('transforms.outbox.', '').split('=') as [string, string]),
)
const columns = Object.values(getTableColumns(outboxEvents))

test('the columns of the router exist, and none of them is nullable', () => {
  const named = [...settings].flatMap(([name, value]) => {
    if (name === 'table.fields.additional.placement') return value.split(',').map((one) => one.split(':')[0])
    return /^(table\.field\.|route\.by\.)/.test(name) ? value : []
  })
  expect(named.toSorted()).toEqual(['aggregateid', 'aggregatetype', 'id', 'payload', 'subject', 'type'])
  expect(
    columns.flatMap(({ name, notNull }) => (notNull && named.includes(name) ? name : [])).toSorted(),
  ).toEqual(named.toSorted() as string[])
})

test('the outbox is inserted and deleted, never updated; captured events are only read', () => {
  expect(grants.outbox).toEqual(['select', 'insert', 'delete'])
  expect(grants.outbox_events).toEqual(['select'])
})

type Captured = Record<
  'aggregatetype' | 'aggregateid' | 'type' | 'payload' | 'subject' | 'occurred_at',
  string
> & { id: bigint; traceparent: string | null }

test('captured events are inserted and deleted, a row each; personal data is left to the relay', async () => {
  // The test holds the relay lock, so that what is left in the outbox stays there.
  await using wallets = await startWallets(1, holdLead)
  const { wallet, sql } = wallets
  // What a log of the table has. Debezium reads the insertions.
  await sql.unsafe(`
    create table captured (like outbox_events, deleted boolean not null);
    create function note() returns trigger language plpgsql security definer as $$
    begin
      if tg_op = 'INSERT' then insert into public.captured select new.*, false;
      else insert into public.captured select old.*, true;
      end if;
      return null;
    end $$;
    create trigger note after insert or delete on outbox_events for each row execute function note()`)
  const act = async (nth: number) => {
    const name = `Ada ${nth}`
    const client = await wallet.post('/clients', { name, email: 'ada@example.org' })
    const postings = [
      { account_id_from: eva, account_id_to: frank, amount: 1 },
      { account_id_from: frank, account_id_to: eva, amount: 2 },
    ]
    const transactions = [...postings, { postings }]
    const batch = await wallet.post('/transactions/batch', { transactions })
    expect([client.status, batch.status]).toEqual([201, 201])
  }
  const noted = async (deleted: boolean) =>
    (await sql`select * from captured where deleted = ${deleted} order by id`) as unknown as Captured[]

  await act(1)
  const [seeded] = await sql`select coalesce(max(id), 0) as id from outbox`
  expect(await noted(false)).toEqual([])
  await sql.unsafe(statement)
  await act(2)
  const rows = await noted(false)
  expect(await noted(true)).toEqual(rows.map((row) => ({ ...row, deleted: true })))
  expect(await sql`select from outbox_events`).toHaveLength(0)

  const types = ['ClientRegistered', ...Array(2).fill(['TransactionCreated', 'BalanceUpdated']).flat()]
  types.push('PostingsCreated', 'BalanceUpdated', 'BalanceUpdated')
  expect(rows.map(({ type }) => type)).toEqual(types)
  for (const { id, type, aggregatetype, aggregateid, payload, subject, occurred_at } of rows) {
    const headers = headersOf({ id: String(id), type, subject })
    const decoded = decodeRecord({ value: Buffer.from(payload), headers })
    const { Payload } = JSON.parse(payload)
    expect(decoded).toEqual({ kind: 'event', event: { name: type, payload: Payload } as never })
    expect(aggregateid).toBe(Payload.account_id_from ?? Payload.id)
    expect(subject).toStartWith(Payload.transaction_id ?? Payload.id)
    expect(new Date(occurred_at)).toEqual(new Date(Payload.created_at))
    expect(['clients', 'transactions', 'balances']).toContain(aggregatetype)
  }
  const left = eventsIn(await sql`select events from outbox where id > ${String(seeded?.id)} order by id`)
  expect(left).toMatchObject([{ topic: 'personal-data', name: 'PersonalDataRecorded', value: '{}' }])
})

test('what is captured is not published by the relay as well, also where it leads', async () => {
  await using wallets = await startWallets()
  const { wallet, sql } = wallets
  await eventually(async () => expect(await countPending(sql)).toBe(0))
  await sql.unsafe(statement)
  const transfer = { account_id_from: eva, account_id_to: frank, amount: 1 }
  const { body } = await wallet.post('/transactions', transfer)
  await sql.unsafe(statement.replace('enable', 'disable'))
  const later = await wallet.post('/transactions', transfer)
  const path = (id: unknown) => `/transactions/${id}/delivery`
  await eventually(async () =>
    expect((await wallet.get(path(later.body.id))).body).toMatchObject({
      events: [{ offset: expect.any(Number) }, { offset: expect.any(Number) }],
    }),
  )
  expect((await wallet.get(path(body.id))).body).toMatchObject({
    events: [{ offset: null }, { offset: null }],
  })
})
