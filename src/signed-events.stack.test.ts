/** Signed events, from the wallet's relay to everything that reads them. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { topics } from './contract/events/events'
import { createVerifier, signatureHeader } from './contract/wire/signature'
import { connectKafka } from './platform/kafka/client'
import type { IncomingRecord } from './platform/kafka/records'
import { openDatabase } from './platform/postgres/database'
import { eventually } from './testing/eventually'
import { headerText } from './testing/headers'
import { callerOf, type Stack, startStack } from './testing/stack'
import { eva, frank, log } from './testing/wallets'
import { republishAll } from './wallet/republish/republish'
import { startWallet } from './wallet/service'

setDefaultTimeout(60_000)

const keyOf = (id: string) => ({ id, secret: crypto.getRandomValues(new Uint8Array(32)) })
const [first, second] = [keyOf('2025'), keyOf('2026')]

type Placed = IncomingRecord & { topic: string }

/** All records of the wallet's topics. */
async function readTopics({ config }: Pick<Stack, 'config'>): Promise<Placed[]> {
  const kafka = connectKafka(config.wallet.kafka, log)
  try {
    const ranges = await kafka.endOffsets(topics.map((topic) => config.wallet.kafka.topicPrefix + topic))
    const records: Placed[] = []
    for await (const { topic, records: batch } of kafka.read(ranges))
      records.push(...batch.map((record) => ({ ...record, topic })))
    return records
  } finally {
    await kafka.close()
  }
}

async function republish({ databases }: Pick<Stack, 'databases'>): Promise<number> {
  const database = openDatabase({ url: databases.wallet.serviceUrl, poolMax: 1, applicationName: 'test' })
  const filter = { accountId: undefined, since: new Date(0) }
  try {
    return await republishAll(database, filter, { add() {} }, new AbortController().signal)
  } finally {
    await database.close()
  }
}

test('every record that the wallet publishes is signed with its first key, republished ones too', async () => {
  await using stack = await startStack({ start: [] })
  stack.config.wallet.events.signingKeys = [second, first]
  const service = await startWallet(stack.config.wallet, log)
  const wallet = callerOf('wallet', service.port)
  const paid = await wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 })
  expect(paid.status).toBe(201)
  const republished = await republish(stack)
  let records: Placed[] = []
  await eventually(async () => {
    records = await readTopics(stack)
    expect(records.length).toBeGreaterThanOrEqual(republished + 2)
  })
  const verify = createVerifier([second])
  expect(records.map(({ topic, ...record }) => verify(topic, record)).filter(Boolean)).toEqual([])
  expect(new Set(records.map((record) => headerText(record, signatureHeader).slice(0, 8)))).toEqual(
    new Set(['v1;2026;']),
  )
  await service.stop()
})
