/** Ids in capitals, in what is asked and in what others write. */
import { expect, test } from 'bun:test'
import { connectKafka } from '../../platform/kafka/client'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../../testing/eventually'
import { startStack } from '../../testing/stack'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
const client = 'd6a3b836-bbd0-11ee-8a24-0242ac120003'

test('an account is the same in either letter case, at every route, and in events of others', async () => {
  await using stack = await startStack()
  const { balances } = stack
  await eventually(async () =>
    expect((await balances.get(`/balances/${eva}`)).body).toMatchObject({ version: 4 }),
  )
  const { topicPrefix } = stack.config.balances.kafka
  const kafka = connectKafka(
    stack.config.balances.kafka,
    createLog({ service: 'test', level: 'fatal', format: 'json' }),
  )
  const publisher = kafka.publisher()
  const payload = {
    account_id_from: eva.toUpperCase(),
    account_id_to: 'Conta-A',
    balance_account_id_from: 700,
    balance_account_id_to: 100,
    version_account_id_from: 5,
  }
  const value = JSON.stringify({ Name: 'BalanceUpdated', Payload: payload })
  await publisher.send([{ topic: `${topicPrefix}balances`, key: null, value, headers: {} }])
  await publisher.close()
  await kafka.close()

  await eventually(async () => {
    const { body } = await balances.get(`/balances/${eva}`)
    expect(body).toMatchObject({ account_id: eva, balance: 700, version: 5, owner_name: 'Eva' })
  })
  for (const path of ['', '/statement', '/explain']) {
    const [lower, upper] = [
      await balances.get(`/balances/${eva}${path}`),
      await balances.get(`/balances/${eva.toUpperCase()}${path}`),
    ]
    expect([path, upper.status]).toEqual([path, 200])
    if (path !== '/explain') expect(upper.body).toEqual(lower.body)
  }
  expect((await balances.get(`/accounts/${eva.toUpperCase()}`)).status).toBe(200)
  expect((await balances.get('/balances/conta-a')).status).toBe(404)
  expect((await balances.get('/balances/Conta-A')).body).toMatchObject({ balance: 100 })
  const list = await balances.get(`/balances?client_id=${client.toUpperCase()}`)
  expect(list.body.data).not.toHaveLength(0)
  const page = await balances.get(`/balances/${eva.toUpperCase()}/statement?limit=1`)
  const next = await balances.get(`/balances/${eva}/statement?limit=1&cursor=${page.body.next_cursor}`)
  expect(next.status).toBe(200)
  const token = { 'consistency-token': `${eva.toUpperCase()}:5,${frank.toUpperCase()}:4` }
  expect((await balances.get(`/balances/${frank}`, token)).status).toBe(200)
  expect((await balances.get(`/balances/${eva.toUpperCase()}/stream`)).status).toBe(200)
})
