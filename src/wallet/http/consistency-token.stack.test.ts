/** The token of a write names the newest version of each account that it changed. */
import { expect, test } from 'bun:test'
import { type Caller, startStack } from '../../testing/stack'

const tokenOf = async (answer: ReturnType<Caller['post']>) => (await answer).headers.get('consistency-token')

async function openAccounts(wallet: Caller, count: number): Promise<string[]> {
  const client = await wallet.post('/clients', { name: 'Ada', email: 'ada@example.com' })
  const open = () => wallet.post('/accounts', { client_id: client.body.id })
  const answers = await Promise.all(Array.from({ length: count }, open))
  return answers.map(({ headers, body }) => {
    expect(headers.get('consistency-token')).toBe(`${body.id}:0`)
    return String(body.id)
  })
}

test('a new account has version 0, a batch the last version of each, up to a hundred accounts', async () => {
  await using stack = await startStack({ start: ['wallet'], seed: false })
  const { wallet } = stack
  const accounts = await openAccounts(wallet, 100)
  const [from, to] = accounts
  const depositsTo = (ids: readonly (string | undefined)[]) => ({
    transactions: ids.map((id) => ({ kind: 'deposit', account_id_to: id, amount: 1 })),
  })
  const many = await tokenOf(wallet.post('/transactions/batch', depositsTo(accounts.slice(1))))
  expect(many?.split(',')).toHaveLength(100)
  expect(await tokenOf(wallet.post('/transactions/batch', depositsTo(accounts)))).toBeNull()

  const pay = { account_id_from: from, account_id_to: to, amount: 0.5 }
  const two = await wallet.post('/transactions/batch', { transactions: [pay, pay] })
  expect(two.headers.get('consistency-token')).toBe(`${from}:3,${to}:4`)
  const refused = { mode: 'best_effort', transactions: [{ ...pay, amount: 1000 }] }
  expect(await tokenOf(wallet.post('/transactions/batch', refused))).toBeNull()
})
