/**
 * The `.http` files at the top are the first thing many people run: each request has to succeed as
 * its comment says.
 */
import { expect, test } from 'bun:test'
import { routesOf } from './documented'
import { eventually } from './eventually'
import { type HttpFileAnswers, runHttpFile } from './http-file'
import { type Stack, startStack } from './stack'

const statuses = (answers: HttpFileAnswers) =>
  Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, answer.status]))

/** With the wallet, from which the names of owners come. */
async function startNamed(): Promise<Stack> {
  const stack = await startStack()
  await eventually(async () => {
    const { data } = (await stack.balances.get('/balances?limit=100')).body as {
      data: { owner_name: unknown }[]
    }
    // All but `world`.
    expect(data.filter(({ owner_name }) => owner_name === null)).toHaveLength(1)
  })
  return stack
}

test('balances.http, over the seed', async () => {
  await using stack = await startNamed()
  const answers = await runHttpFile('balances.http', stack.balances.port)
  const owned = Object.values(answers).filter((answer) => answer.body.owner_name)
  expect(owned.map(({ body }) => [body.owner_name, body.balance])).toEqual([
    ['Eva', 800],
    ['Frank', 1200],
    ['Eva', 800],
    ...['John', 'Jane', 'Alice', 'Bob', 'Charlie', 'David', 'Grace', 'Harry'].map((name) => [name, 1000]),
    ['Eva', 800],
  ])
  expect(statuses(answers)).toMatchObject({
    balanceOfEvaUnchanged: 304,
    balanceOfNobody: 404,
    balanceAfterMovement: 200,
    balances: 200,
    balancesOfTheRich: 200,
    balancesOfClient: 200,
    balancesOfOwner: 200,
    statement: 200,
    statementOfJanuary: 200,
    balanceAt: 200,
    balanceInTheBooksAt: 200,
    explain: 200,
    streamOfEva: 200,
    streamOfEvaSince: 200,
    stream: 200,
    problem: 200,
    index: 200,
    routes: 200,
    openapi: 200,
    events: 200,
    asyncapi: 200,
    documents: 200,
    document: 200,
    largeMovements: 200,
    largeMovementsOfEva: 200,
    reconciliations: 200,
    reconciliation: 404,
    deadLetters: 200,
    deadLetter: 404,
    rebuild: 202,
    rebuildState: 200,
    deadLettersOfCause: 200,
    deadLetterCauses: 200,
    redriveRehearsed: 200,
    redrive: 200,
    redriveById: 200,
    livez: 200,
    readyz: 200,
    healthz: 200,
    metrics: 200,
  })
  expect(answers.asyncapi?.body.operations).toHaveProperty('receive-balances')
})

test('balances.http explains the balances of the seed', async () => {
  await using stack = await startNamed()
  const answers = await runHttpFile('balances.http', stack.balances.port)
  const dataOf = (name: string) => answers[name]?.body.data as { [field: string]: unknown }[]
  expect(dataOf('balances')).toHaveLength(5)
  expect(answers.balances?.body.next_cursor).toBeString()
  expect(dataOf('balancesOfTheRich').map((row) => row.owner_name)).toEqual(['Frank'])
  expect(dataOf('balancesOfClient').map((row) => row.owner_name)).toEqual(['Eva'])
  expect(dataOf('statement').map((line) => line.amount)).toEqual([-50, -50, -100, 1000])
  expect(dataOf('statementOfJanuary').map((line) => line.balance)).toEqual([900, 1000])
  for (const name of ['balanceAt', 'balanceInTheBooksAt'])
    expect(answers[name]?.body).toMatchObject({ balance: 900, complete: true })
  expect(answers.explain?.body).toMatchObject({ balance: 800, closing: 800, opening: 0, complete: true })
})

test('wallet.http, over the seed', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  const answers = await runHttpFile('wallet.http', stack.wallet.port)
  expect(statuses(answers)).toEqual({
    transfer: 201,
    transferWithCents: 201,
    transferOnce: 201,
    transferPreview: 201,
    deposit: 201,
    withdrawal: 201,
    batch: 201,
    reverse: 201,
    withFee: 201,
    split: 201,
    reverseWithFee: 201,
    placeHold: 201,
    hold: 200,
    extendHold: 422,
    captureHold: 201,
    releaseHold: 409,
    transaction: 200,
    delivery: 200,
    transactions: 200,
    transactionsOfJanuary: 200,
    transactionsOfClient: 200,
    transactionsByReference: 200,
    transactionsByMetadata: 200,
    reversals: 200,
    openHolds: 200,
    accounts: 200,
    worldAccounts: 200,
    clientByEmail: 200,
    clients: 200,
    account: 200,
    client: 200,
    registerClient: 201,
    openAccount: 201,
    openAccountWithOverdraft: 201,
    openAccountInYen: 201,
    freeze: 200,
    transferOfFrozen: 422,
    unfreeze: 200,
    changeOverdraft: 200,
    close: 200,
    renameClient: 200,
    personalData: 200,
    erasePersonalData: 200,
    insufficientFunds: 422,
    sameAccount: 422,
    accountNotFound: 404,
    validation: 422,
    problem: 200,
    index: 200,
    routes: 200,
    openapi: 200,
    events: 200,
    asyncapi: 200,
    livez: 200,
    readyz: 200,
    healthz: 200,
    metrics: 200,
  })
  expect(answers.account?.body).toMatchObject({ balance: 710.26, version: 15 })
  expect(answers.transactions?.body.data).toHaveLength(2)
  expect(answers.transactionsOfJanuary?.body.data).toHaveLength(2)
  expect(answers.transaction?.body).toMatchObject({ amount: 50, kind: 'transfer' })
  expect(answers.client?.body).toMatchObject({ name: 'Eva' })
  for (const name of ['transactionsByReference', 'transactionsByMetadata', 'reversals'])
    expect([name, answers[name]?.body.data]).toEqual([name, [expect.anything()]])
  expect(answers.transferOfFrozen?.body).toMatchObject({ code: 'ACCOUNT_FROM_FROZEN' })
  expect(answers.renameClient?.body).toMatchObject({ name: 'Irene Costa', version: 2 })
  expect(answers.personalData?.body.versions).toHaveLength(2)
  expect(answers.erasePersonalData?.body).toMatchObject({ name: null, email: null, version: 3 })
  expect(answers.clientByEmail?.body.data).toMatchObject([{ name: 'Eva' }])
  expect(answers.worldAccounts?.body.data).toMatchObject([{ currency: 'BRL', client_id: null }])
  expect(answers.validation?.body.errors).toHaveLength(2)
  expect(answers.asyncapi?.body.operations).toHaveProperty('send-balances')
})

test('every route of both services is in its `.http` file and in the documents', async () => {
  const root = `${import.meta.dir}/../..`
  const documents = await Promise.all(
    [...new Bun.Glob('docs/*.md').scanSync(root)].map((path) => Bun.file(`${root}/${path}`).text()),
  )
  const documented = documents.join('\n')
  for (const [service, routes] of Object.entries(routesOf)) {
    const text = await Bun.file(`${root}/${service}.http`).text()
    const shown = [...text.matchAll(/^(GET|POST|PATCH|DELETE) \{\{host\}\}([^\s?]+)/gm)].map(
      ([, method, path]) => `${method} ${path}`,
    )
    const missing = routes.filter(({ method, path, tag }) => {
      const pattern = new RegExp(`^${method} ${path.replace(/:\w+/g, '[^/]+')}$`)
      // As `POST /rebuild` or, in a sentence about several, as `/rebuild`.
      const mention = new RegExp(`(?<![\\w}])${path.replace(/:\w+/g, '\\{\\w+\\}')}(?![\\w/])`)
      // What only the console needs is for no other caller.
      const isShown = tag.name === 'Console' || shown.some((line) => pattern.test(line))
      return !isShown || !mention.test(documented)
    })
    expect(missing.map(({ method, path }) => `${method} ${path}`)).toEqual([])
  }
})
