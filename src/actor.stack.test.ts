/** Who did it, end to end: from the key of a request to everything that either service shows of it. */
import { expect, test } from 'bun:test'
import { openKeys } from './testing/api-keys'
import { readEvents } from './testing/event-source'
import { eventually } from './testing/eventually'
import { differencesOf, noDifference } from './testing/reconciled'
import { type Stack, startStack } from './testing/stack'
import { eva, frank } from './testing/wallets'

type Row = Record<string, unknown>
type Header = { authorization: string }

const payment = { account_id_from: eva, account_id_to: frank, amount: 2 }
const expires_at = new Date(Date.now() + 30 * 24 * 3_600_000).toISOString()

/** Both make and change things: what each step answers, by its name, which is its idempotency key. */
async function act({ wallet: { get, post, patch } }: Stack, { shop, desk }: Record<'shop' | 'desk', Header>) {
  const done: Record<string, Row> = {}
  const step = async (
    name: string,
    send: typeof post,
    header: Header,
    path: string,
    body: object,
  ): Promise<Row> => {
    const answer = await send(path, body, { ...header, 'idempotency-key': name })
    expect([name, answer.status < 300, answer.body]).toEqual([name, true, expect.anything()])
    done[name] = answer.body
    return answer.body
  }
  const client = await step('client', post, shop, '/clients', { name: 'Ana', email: 'ana@example.com' })
  await step('renamed', patch, desk, `/clients/${client.id}`, { name: 'Ana Luz' })
  const { id: account } = await step('account', post, shop, '/accounts', { client_id: client.id })
  await step('limited', patch, desk, `/accounts/${account}`, { overdraft_limit: 5 })
  await step('frozen', post, shop, `/accounts/${account}/freeze`, {})
  await step('unfrozen', post, desk, `/accounts/${account}/unfreeze`, {})
  await step('deposit', post, shop, `/accounts/${account}/deposits`, { amount: 3 })
  await step('withdrawal', post, desk, `/accounts/${account}/withdrawals`, { amount: 3 })
  await step('closed', post, shop, `/accounts/${account}/close`, {})
  const paid = await step('transfer', post, shop, '/transactions', payment)
  await step('reversal', post, desk, `/transactions/${paid.id}/reverse`, {})
  await step('postings', post, shop, '/transactions', { postings: [payment, payment] })
  const batch = await step('batch', post, desk, '/transactions/batch', { transactions: [payment] })
  done.batch = (batch.results as { transaction: Row }[])[0]?.transaction as Row
  for (const end of ['capture', 'release']) {
    const hold = await step(`hold to ${end}`, post, shop, '/holds', payment)
    await step(`extended to ${end}`, patch, desk, `/holds/${hold.id}`, { expires_at })
    await step(end, post, shop, `/holds/${hold.id}/${end}`, {})
    done[`hold after ${end}`] = (await get(`/holds/${hold.id}`, desk)).body
  }
  return done
}

const expected = {
  client: ['shop', null],
  renamed: ['shop', 'desk'],
  account: ['shop', null],
  limited: ['shop', 'desk'],
  frozen: ['shop', 'shop'],
  unfrozen: ['shop', 'desk'],
  deposit: ['shop', undefined],
  withdrawal: ['desk', undefined],
  closed: ['shop', 'shop'],
  transfer: ['shop', undefined],
  reversal: ['desk', undefined],
  postings: ['shop', undefined],
  batch: ['desk', undefined],
  'hold to capture': ['shop', null],
  'extended to capture': ['shop', 'desk'],
  capture: ['shop', undefined],
  'hold after capture': ['shop', 'shop'],
  'hold to release': ['shop', null],
  'extended to release': ['shop', 'desk'],
  release: ['shop', 'shop'],
  'hold after release': ['shop', 'shop'],
}

test('each step has the name of its key, in answers, lists, events, statements and streams', async () => {
  await using stack = await startStack()
  await using keys = openKeys(stack.databases.wallet)
  const { wallet, balances } = stack
  const [shop, desk] = [await keys.create({ name: 'shop' }), await keys.create({ name: 'desk' })]
  const done = await act(stack, { shop, desk })
  // Repeated, each answers what it did, also where something changed since.
  expect(await act(stack, { shop, desk })).toEqual(done)
  const actors = Object.entries(done).map(([name, { actor, changed_actor }]) => [
    name,
    [actor, changed_actor],
  ])
  expect(Object.fromEntries(actors)).toEqual(expected)

  // Read back, one by one and in lists.
  const same = async (path: string, row: Row | undefined) => {
    const { actor, changed_actor } = (await wallet.get(path, desk)).body
    expect([path, actor, changed_actor]).toEqual([path, row?.actor, row?.changed_actor])
  }
  await same(`/clients/${done.client?.id}`, done.renamed)
  await same(`/accounts/${done.account?.id}`, done.closed)
  for (const name of ['transfer', 'postings', 'reversal'])
    await same(`/transactions/${done[name]?.id}`, done[name])
  const listed = async (path: string) => ((await wallet.get(path, desk)).body.data as Row[]) ?? []
  expect((await listed(`/transactions?account_id=${eva}&limit=5`)).map(({ actor }) => actor)).toEqual([
    'shop',
    'desk',
    'shop',
    'desk',
    'shop',
  ])
  expect((await listed('/holds')).map(({ changed_actor }) => changed_actor)).toEqual(['shop', 'shop'])

  // A statement has each step, those before the last change included.
  const entriesOf = async (account: unknown) => {
    const { body } = await balances.get(`/balances/${account}/statement`)
    return (body.data as Row[]).map(({ actor }) => actor)
  }
  await eventually(async () =>
    expect(await entriesOf(done.account?.id)).toEqual(['shop', 'desk', 'shop', 'desk', 'shop', 'desk']),
  )
  const [release, extension, hold, capture] = await entriesOf(eva)
  expect([release, extension, hold, capture]).toEqual(['shop', 'desk', 'shop', 'shop'])
  for await (const { data } of readEvents(balances.port, `/balances/${done.account?.id}/stream`, '5')) {
    expect(data).toMatchObject({ version: 6, actor: 'shop' })
    break
  }

  // Reconcile finds another actor where it is, and nothing else.
  expect(await differencesOf(stack)).toEqual(noDifference)
  await using owner = openKeys(stack.databases.balances)
  await owner.sql`update entries set actor = 'mallory' where account_id = ${eva} and version = 5`
  expect(await differencesOf(stack)).toMatchObject({
    ...noDifference,
    differences: [{ where: 'read model', accountId: eva, version: 5n, found: { actor: 'mallory' } }],
  })
})
