/** The client against both services. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startCuttingProxy } from '../testing/cutting-proxy'
import { eventually } from '../testing/eventually'
import { mulberry32, seed } from '../testing/random'
import { type Stack, startStack } from '../testing/stack'
import { SaldoClient, type SaldoOptions, SaldoProblem } from './index'

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ seed: false })
})
afterAll(() => stack[Symbol.asyncDispose]())

const optionsOf = ({ wallet, balances }: Pick<Stack, 'wallet' | 'balances'>) => ({
  wallet: `http://127.0.0.1:${wallet.port}`,
  balances: `http://127.0.0.1:${balances.port}/`,
})

/** Two funded accounts of one client. */
async function openAccounts(saldo: SaldoClient) {
  const client = await saldo.registerClient({ name: 'Ada', email: 'ada@example.com' })
  const [from, to] = await Promise.all([
    saldo.openAccount({ client_id: client.id, overdraft_limit: '50.25' }),
    saldo.openAccount({ client_id: client.id }),
  ])
  await saldo.deposit(from.id, { amount: 100 })
  return { client, from: from.id, to: to.id }
}

test('every method of a movement, and the reads that show it', async () => {
  const saldo = new SaldoClient(optionsOf(stack))
  const { client, from, to } = await openAccounts(saldo)
  expect(await saldo.client(client.id)).toEqual(client)

  const transfer = await saldo.transfer({
    account_id_from: from,
    account_id_to: to,
    amount: 30,
    reference: 'r',
  })
  expect(await saldo.transaction(transfer.id)).toEqual(transfer)
  await saldo.reverseTransaction(transfer.id, { amount: 10 })
  await saldo.withdraw(to, { amount: '5.50' })
  const captured = await saldo.placeHold({ account_id_from: from, account_id_to: to, amount: 40 })
  const released = await saldo.placeHold({ account_id_from: from, amount: 1 })
  await saldo.captureHold(captured.id, { amount: '15' })
  expect(await saldo.releaseHold(released.id)).toMatchObject({ status: 'released' })
  const batch = await saldo.batch({
    transactions: [
      { account_id_from: to, account_id_to: from, amount: 1 },
      { kind: 'deposit', account_id_to: to, amount: 2 },
    ],
  })
  expect(batch.refused).toBe(0)

  expect(await saldo.balance(from)).toMatchObject({ balance: 66, held: 0, available: 66, owner_name: 'Ada' })
  expect(await saldo.balance(to)).toMatchObject({ balance: 30.5 })
  expect(await saldo.account(to)).toMatchObject({ balance: 30.5 })
  const kinds = await Array.fromAsync(
    saldo.transactions({ account_id: from, limit: 2 }).rows(),
    ({ kind }) => kind,
  )
  expect(kinds).toEqual(['transfer', 'capture', 'reversal', 'transfer', 'deposit'])
  const at = new Date(Date.now() - 86_400_000).toISOString()
  expect((await saldo.balance(from, { at }))?.version).toBe(0)
})

test('a preview answers what would be, and later reads do not wait for it', async () => {
  const saldo = new SaldoClient({ ...optionsOf(stack), retries: 0 })
  const { from, to } = await openAccounts(saldo)
  const transfer = { account_id_from: from, account_id_to: to, amount: 30 }
  const preview = await saldo.transfer({ ...transfer, dry_run: true })
  expect(preview).toMatchObject({ dry_run: true, version_account_id_from: 2 })
  const refused = await saldo.transfer({ ...transfer, amount: 1000, dry_run: true }).catch((error) => error)
  expect(refused).toMatchObject({ name: 'insufficient-funds', details: { dry_run: true } })
  expect(await saldo.balance(from)).toMatchObject({ balance: 100, version: 1 })
  expect(await saldo.transfer(transfer)).toMatchObject({ version_account_id_from: 2 })
})

test('pages of a statement, each as it is needed', async () => {
  await using stack = await startStack({ seed: false, partitions: 1 })
  let requests = 0
  const counted: SaldoOptions['fetch'] = (url, init) => {
    if (url.includes('/statement')) requests++
    return fetch(url, init)
  }
  const saldo = new SaldoClient({ ...optionsOf(stack), fetch: counted })
  const { from, to } = await openAccounts(saldo)
  for (let i = 1; i <= 4; i++) await saldo.transfer({ account_id_from: from, account_id_to: to, amount: i })

  const pages = await Array.fromAsync(saldo.statement(from, { limit: 2 }))
  expect(pages.map(({ data }) => data.length)).toEqual([2, 2, 1])
  expect(pages.every(({ complete }) => complete)).toBe(true)
  expect(requests).toBe(3)
  for await (const line of saldo.statement(from, { limit: 2 }).rows()) {
    expect(line).toMatchObject({ amount: -4 })
    break
  }
  expect(requests).toBe(4)
  expect((await saldo.statement(from, { limit: 1 }).first()).data).toHaveLength(1)
  const amounts = await Array.fromAsync(saldo.explainBalance(from, { limit: 3 }), (page) => page.data.length)
  expect(amounts).toEqual([3, 2])
})

test('amounts as strings are those of the response, to the last digit', async () => {
  const saldo = new SaldoClient({ ...optionsOf(stack), decimals: 'string' })
  const { from, to } = await openAccounts(saldo)
  const metadata = { amount: 1.5, balance: { held: 2 } }
  await saldo.deposit(from, { amount: '1234567890123.45' })
  const transfer = await saldo.transfer({
    account_id_from: from,
    account_id_to: to,
    amount: '1234567890123.40',
    metadata,
  })
  expect(transfer).toMatchObject({ amount: '1234567890123.4', metadata })
  expect(await saldo.account(from)).toMatchObject({ balance: '100.05', overdraft_limit: '50.25', version: 3 })
  expect(await saldo.balance(to)).toMatchObject({ balance: '1234567890123.4', held: '0', version: 1 })
  const [line] = (await saldo.statement(to).first()).data
  expect(line).toMatchObject({ amount: '1234567890123.4', version: 1 })
})

test('reads are never older than writes, also of another client that has the token', async () => {
  const saldo = new SaldoClient(optionsOf(stack))
  const { client, from, to } = await openAccounts(saldo)
  for (let i = 1; i <= 20; i++) {
    const { version_account_id_from } = await saldo.transfer({
      account_id_from: from,
      account_id_to: to,
      amount: 1,
    })
    const other = new SaldoClient({ ...optionsOf(stack), token: saldo.token })
    const reader = i % 2 ? saldo : other
    expect((await reader.balance(from)).version).toBeGreaterThanOrEqual(version_account_id_from)
    const versions = await Array.fromAsync(
      reader.balances({ client_id: client.id }).rows(),
      (row) => row.version,
    )
    expect(versions.sort()).toEqual([i, 1 + i].sort())
  }
  const { id } = await saldo.openAccount({ client_id: client.id })
  expect(await saldo.balance(id)).toMatchObject({ balance: 0 })
})

test('a state that the read model does not have is refused, unless an older one will do', async () => {
  const saldo = new SaldoClient({ ...optionsOf(stack), retries: 1, timeoutMs: 1000 })
  const { from } = await openAccounts(saldo)
  expect(await new SaldoClient({ ...optionsOf(stack), token: saldo.token }).balance(from)).toMatchObject({
    version: 1,
  })
  saldo.token += `,${from}:100`
  const error = await saldo.balance(from).catch((error) => error)
  expect(error).toBeInstanceOf(SaldoProblem)
  expect(error).toMatchObject({ name: 'not-yet-consistent', code: 'NOT_YET_CONSISTENT' })
  expect(await saldo.balance(from, {}, { allowStale: true })).toMatchObject({ version: 1 })
})

test('a stream goes on over cut connections: each version once, in order', async () => {
  const saldo = new SaldoClient(optionsOf(stack))
  const { from, to } = await openAccounts(saldo)
  const random = mulberry32(seed)
  await using proxy = await startCuttingProxy(stack.balances, { share: 0.5, random })
  const watching = new SaldoClient({
    ...optionsOf({ ...stack, balances: { ...stack.balances, port: proxy.port } }),
    token: saldo.token,
  })

  const movements = 30
  const move = async () => {
    for (let i = 0; i < movements; i++)
      await saldo.transfer({ account_id_from: from, account_id_to: to, amount: 1 })
  }
  // Begins with the first event: otherwise all of it may be over by then.
  let moving: Promise<void> | undefined
  const versions: number[] = []
  let lastEventId = ''
  for await (const { event, id, data } of watching.watchBalance(from)) {
    if (event !== 'balance') throw new Error(`a ${event}`)
    expect(id).toBe(String(data.version))
    lastEventId = id
    versions.push(data.version)
    moving ??= move()
    if (versions.length % 4 === 0) proxy.cutAll()
    if (data.version > movements / 2) break
  }
  await moving
  for await (const { data } of watching.watchBalance(from, { lastEventId })) {
    if (!('version' in data)) throw new Error('no balance')
    versions.push(data.version)
    if (data.version > movements) break
  }
  const first = versions[0] ?? 0
  expect(versions).toEqual(Array.from({ length: movements + 2 - first }, (_, index) => first + index))
})

test('a stream ends with its signal, and with it its connection', async () => {
  const saldo = new SaldoClient(optionsOf(stack))
  const { from } = await openAccounts(saldo)
  const aborting = new AbortController()
  const stream = saldo.watchBalance(from, { signal: aborting.signal })
  expect((await stream.next()).value).toMatchObject({ event: 'balance', data: { balance: 100 } })
  const next = stream.next().catch((error) => error)
  aborting.abort(new Error('enough'))
  expect(await next).toMatchObject({ message: 'enough' })
  expect(await stream.next()).toEqual({ done: true, value: undefined })
  const unknown = saldo.watchBalance('00000000-0000-4000-8000-000000000000').next()
  expect(await unknown.catch((error) => error)).toMatchObject({ name: 'account-not-found' })
})

test('a stream of all accounts goes on after the service was away', async () => {
  const saldo = new SaldoClient(optionsOf(stack))
  const { from, to } = await openAccounts(saldo)
  await using proxy = await startCuttingProxy(stack.balances, { share: 0, random: () => 1 })
  const watching = new SaldoClient({ balances: `http://127.0.0.1:${proxy.port}` })
  const seen: string[] = []
  const aborting = new AbortController()
  const reading = (async () => {
    for await (const { event, data } of watching.watchBalances({ signal: aborting.signal }))
      if (event === 'balance') seen.push(`${data.account_id} ${data.version}`)
  })().catch((error) => error)
  const pay = () => saldo.transfer({ account_id_from: from, account_id_to: to, amount: 1 })
  // It begins with what is applied after it was opened.
  await eventually(async () => {
    await pay()
    expect(seen).not.toEqual([])
  })
  proxy.cutAll()
  const { version_account_id_from } = await pay()
  await eventually(() => expect(seen).toContain(`${from} ${version_account_id_from}`))
  expect(new Set(seen).size).toBe(seen.length)
  aborting.abort(new Error('enough'))
  expect(await reading).toMatchObject({ message: 'enough' })
})

test('a preview is typed as one, writes nothing, and is not waited for', async () => {
  await using stack = await startStack({ seed: false })
  const saldo = new SaldoClient(optionsOf(stack))
  const { from, to } = await openAccounts(saldo)
  const transfer = { account_id_from: from, account_id_to: to, amount: 5 }
  const preview = await saldo.transfer({ ...transfer, dry_run: true })
  const id: null = preview.id
  expect([id, preview.version_account_id_from, preview.assumed[0]]).toEqual([
    null,
    2,
    { account_id: from, version: 1 },
  ])
  const hold = await saldo.placeHold({ account_id_from: from, amount: 1 })
  expect(await saldo.releaseHold(hold.id, { dry_run: true })).toMatchObject({
    id: hold.id,
    status: 'released',
  })
  expect(await saldo.hold(hold.id)).toMatchObject({ status: 'placed' })
  expect(await saldo.balance(from)).toMatchObject({ balance: 100, held: 1, version: 2 })
  const refused = await saldo.transfer({ ...transfer, amount: 1000, dry_run: true }).catch((error) => error)
  expect(refused).toMatchObject({ name: 'insufficient-funds' })
})
