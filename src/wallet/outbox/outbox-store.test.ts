/**
 * That change data capture could take the relay's place: the settings that the documentation gives,
 * on the table as it is.
 */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { getTableColumns } from 'drizzle-orm'
import { decodeRecord } from '../../contract/wire/envelope'
import { headersOf } from '../../testing/headers'
import { grants } from '../db/grants'
import { outbox } from '../db/schema'
import { clientToEvent } from '../events'

const documentation = await Bun.file(join(import.meta.dir, '../../../docs/operations.md')).text()
const [, block = ''] = /```properties\n(.*?)```/s.exec(documentation) ?? []
const settings = new Map(
  block.split('\n').map((line) => line.replace('transforms.outbox.', '').split('=') as [string, string]),
)
const columns = Object.values(getTableColumns(outbox))

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

test('what the router sends of a row is read like what the relay sends', () => {
  const createdAt = new Date('2026-01-31T00:00:00Z')
  const id = crypto.randomUUID()
  const dates = { createdAt, updatedAt: createdAt, erasedAt: null }
  const client = { id, version: 1n, actor: null, changedActor: null, ...dates }
  const event = clientToEvent({ changeId: id, client })
  const headers = headersOf({ id: '42', type: event.name, subject: event.subject })
  expect(decodeRecord({ value: Buffer.from(event.value), headers })).toEqual({
    kind: 'event',
    event: { name: event.name, payload: JSON.parse(event.value).Payload },
  })
})

test('rows are inserted and deleted, never updated', () => {
  expect(grants.outbox).toEqual(['select', 'insert', 'delete'])
})
