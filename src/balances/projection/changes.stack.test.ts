/** What the wallet changes of accounts and clients, as the read side shows it, with both services. */
import { expect, test } from 'bun:test'
import { readEvents } from '../../testing/event-source'
import { eventually } from '../../testing/eventually'
import { type Answer, startStack } from '../../testing/stack'
import { eva, frank } from '../../testing/wallets'

const ownerOfEva = 'd6a3bc81-bbd0-11ee-8a24-0242ac120003'

test('a read that waits for a change sees it, also when later events come first', async () => {
  await using stack = await startStack()
  const { wallet, balances } = stack
  const read = async ({ headers }: Answer, path = '') =>
    (
      await balances.get(`/balances/${eva}${path}`, {
        'consistency-token': headers.get('consistency-token') ?? '',
        prefer: 'wait=20',
      })
    ).body
  expect((await balances.get(`/balances/${eva}`)).body).toMatchObject({ status: 'open', overdraft_limit: 0 })

  const deposits = () => wallet.post(`/accounts/${eva}/deposits`, { amount: 1 })
  for (let round = 0; round < 10; round++) {
    const limit = 100 + round
    await wallet.patch(`/accounts/${eva}`, { overdraft_limit: limit })
    const frozen = await wallet.post(`/accounts/${eva}/freeze`, { scope: 'debits' })
    // By another payer, so on another partition: they may be applied first.
    const [shown] = await Promise.all([read(frozen), deposits(), deposits()])
    expect(shown).toMatchObject({ status: 'debits_frozen', overdraft_limit: limit })
    expect(shown.version).toBeGreaterThanOrEqual(Number(frozen.body.version))
    const open = await wallet.post(`/accounts/${eva}/unfreeze`, {})
    expect(await read(open)).toMatchObject({
      status: 'open',
      overdraft_limit: limit,
      version: open.body.version,
    })
  }

  const last = await wallet.patch(`/accounts/${eva}`, { overdraft_limit: 0 })
  const { data } = await read(last, '/statement?limit=5')
  const lines = data as { version: number; status: string; overdraft_limit: unknown; amount: number }[]
  expect(lines.map(({ amount, status, overdraft_limit }) => [amount, status, overdraft_limit])).toEqual([
    [0, 'open', 0],
    [0, 'open', 109],
    [1, 'debits_frozen', 109],
    [1, 'debits_frozen', 109],
    [0, 'debits_frozen', 109],
  ])
  const path = `/balances/${eva}/stream`
  const limits: unknown[] = []
  const { version } = last.body
  for await (const { data } of readEvents(balances.port, path, String(Number(version) - 2)))
    if (limits.push(data.overdraft_limit) === 2) break
  for await (const { data } of readEvents(balances.port, path))
    if (limits.push(data.overdraft_limit) === 3) break
  expect(limits).toEqual([109, 0, 0])
  const { closing, opening } = await read(last, '/explain?limit=200')
  expect([closing, opening]).toEqual([820, 0])
  expect((await balances.get(`/balances/${frank}`)).body).toMatchObject({
    status: 'open',
    overdraft_limit: 0,
  })
})

test('the name of an owner follows the client', async () => {
  await using stack = await startStack()
  const { wallet, balances } = stack
  for (const name of ['Eva Maria', 'Eva Costa']) await wallet.patch(`/clients/${ownerOfEva}`, { name })
  await eventually(async () =>
    expect((await balances.get(`/balances/${eva}`)).body).toMatchObject({ owner_name: 'Eva Costa' }),
  )
})
