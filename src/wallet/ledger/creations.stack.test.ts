import { expect, test } from 'bun:test'
import type { Caller } from '../../testing/stack'
import { eva, expectSoundLedger, startWallets } from '../../testing/wallets'

test('three wallets open the first accounts of a currency at once: world is opened once', async () => {
  await using wallets = await startWallets(3)
  const { client_id } = (await wallets.wallet.get(`/accounts/${eva}`)).body
  const open = (index: number, currency: string) =>
    (wallets.callers[index % 3] as Caller).post('/accounts', { client_id, currency })
  for (const currency of ['USD', 'EUR', 'JPY']) {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => open(index, currency)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201))
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(12)
    const opened = wallets.sql`select (client_id is null) as is_world, count(*)::int from accounts
      where currency = ${currency} group by 1 order by 1`
    expect([...(await opened)]).toEqual([
      { is_world: false, count: 12 },
      { is_world: true, count: 1 },
    ])
    const account = answers[0]?.body.id
    const deposit = await wallets.wallet.post(`/accounts/${account}/deposits`, { amount: 5, currency })
    expect(deposit.status).toBe(201)
  }
  expect(wallets.errors).toEqual([])
  await expectSoundLedger(wallets)
})
