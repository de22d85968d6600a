import { expect, test } from 'bun:test'
import { type Ask, askFacts, type Facts, legsMax } from './facts'

const transaction = {
  ...{ id: 't', account_id_from: 'a', account_id_to: 'b' },
  ...{ version_account_id_from: 5, version_account_id_to: 9 },
}
const event = (partition: number | null) => ({
  ...{ name: 'BalanceUpdated', leg: null, topic: 'x/balances', status: 'published', published_at: null },
  ...{ partition, offset: partition === null ? null : 41 },
})
const record = '/console/records/x%2Fbalances/2/41'

/** Answers what it is given, and notes what it was asked. */
function answering(answers: Record<string, unknown>) {
  const asked: string[] = []
  const ask: Ask = async (service, path) => {
    asked.push(`${service} ${path}`)
    const body = answers[path]
    return body === undefined ? undefined : { status: 200, body }
  }
  return { ask, asked, answers }
}

test('what cannot change is not asked again', async () => {
  const { ask, asked, answers } = answering({
    '/transactions/t': transaction,
    '/transactions/t/delivery': { status: 'pending', events: [event(null)], waits_for: null },
    '/balances/a': { version: 5 },
    '/balances/b': { version: 8 },
  })
  let facts: Facts | undefined
  const round = async () => {
    asked.length = 0
    facts = await askFacts(ask, 't', { before: facts })
    return asked.toSorted()
  }
  expect(await round()).toEqual([
    'balances /balances/a',
    'balances /balances/b',
    'wallet /transactions/t',
    'wallet /transactions/t/delivery',
  ])
  answers['/transactions/t/delivery'] = { status: 'published', events: [event(2)], waits_for: null }
  expect(await round()).toEqual([
    'balances /balances/b',
    `balances ${record}`,
    'wallet /transactions/t/delivery',
  ])
  answers[record] = { applied: true, dead_letter: null }
  expect(await round()).toEqual(['balances /balances/b', `balances ${record}`])
  answers['/balances/b'] = { version: 12 }
  expect(await round()).toEqual(['balances /balances/b'])
  expect(await round()).toEqual([])
  expect(facts?.records).toEqual([
    {
      place: { topic: 'x/balances', partition: 2, offset: 41 },
      reply: { kind: 'answer', body: { applied: true, dead_letter: null } as never },
    },
  ])
})

test('what was known stays known while a service is silent, or answers what is no answer', async () => {
  const { ask, answers } = answering({
    '/transactions/t': transaction,
    '/transactions/t/delivery': { status: 'pending', events: [], waits_for: null },
  })
  const before = await askFacts(ask, 't')
  delete answers['/transactions/t/delivery']
  const facts = await askFacts(ask, 't', { before })
  expect(facts.delivery).toEqual({ kind: 'silent' })
  expect(facts.known).toEqual(before.known)
  answers['/transactions/t/delivery'] = '<h1>a proxy</h1>'
  const odd = await askFacts(ask, 't', { before })
  expect(odd.delivery).toEqual({ kind: 'refused', status: 200, detail: '' })
  expect(odd.known).toEqual(before.known)
})

test('without the wallet the record that was seen is asked about', async () => {
  const { ask, asked } = answering({})
  const seen = { topic: 'x/balances', partition: 2, offset: 41 }
  const { records } = await askFacts(ask, '../../livez?', { seen })
  expect(records).toEqual([{ place: seen, reply: { kind: 'silent' } }])
  expect(asked).toEqual([
    'wallet /transactions/..%2F..%2Flivez%3F',
    'wallet /transactions/..%2F..%2Flivez%3F/delivery',
    `balances ${record}`,
  ])
})

test('of many postings the last are followed, and each account by its last version', async () => {
  const count = legsMax + 5
  const postings = Array.from({ length: count }, (_, leg) => ({
    ...{ account_id_from: 'a', account_id_to: leg % 2 ? 'b' : 'c' },
    ...{ version_account_id_from: leg + 1, version_account_id_to: leg + 1 },
  }))
  const events = postings.map((_, leg) => ({ ...event(0), leg, offset: leg }))
  const { ask } = answering({
    '/transactions/t': { id: 't', postings },
    '/transactions/t/delivery': { status: 'published', events, waits_for: null },
  })
  const { records, versions } = await askFacts(ask, 't')
  expect(records.map(({ place }) => place.offset)).toEqual(events.slice(5).map(({ offset }) => offset))
  expect(new Map(versions.map(({ account, version }) => [account, version]))).toEqual(
    new Map([
      ['a', count],
      ['b', count - 1],
      ['c', count],
    ]),
  )
})
