/** Rate limits of a service with keys: what is refused, what goes on, and what answers say. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { createToken } from '../access/token'
import { startBalances } from '../balances/service'
import { refusedByLimit } from '../platform/http/limits'
import { openKeys } from './api-keys'
import { log } from './backing'
import { eventually } from './eventually'
import { type Answer, callerOf, startStack } from './stack'
import { eva } from './wallets'

setDefaultTimeout(60_000)

const path = `/balances/${eva}`
const quotaOf = ({ headers }: Answer) => [headers.get('ratelimit-policy'), headers.get('ratelimit')]

test('a key is limited, and so are requests of an address without one, and no others', async () => {
  await using stack = await startStack({ start: [] })
  await using keys = openKeys(stack.databases.balances)
  const config = { ...stack.config.balances, rateLimits: { perKey: 2, perAddress: 1 } }
  const service = await startBalances(config, log)
  try {
    const balances = callerOf('balances', service.port)
    // Nothing is limited while no key is needed.
    for (let nth = 0; nth < 6; nth++) expect(quotaOf(await balances.get(path))).toEqual([null, null])

    const busy = await keys.create({ scopes: ['write'] })
    const [calm, other] = [await keys.create(), await keys.create()]
    const bad = { authorization: `Bearer ${createToken('live').token}` }
    await eventually(async () => expect((await balances.get(path)).status).toBe(401))
    const before = { ...refusedByLimit }
    const until429 = async (headers: Record<string, string>) => {
      const answers: Answer[] = []
      while (answers.at(-1)?.status !== 429) answers.push(await balances.get(path, headers))
      return answers
    }
    const ofKey = await until429(busy)
    // Burst and rate, with time for the requests themselves. The limit comes before the permission.
    expect(ofKey.length).toBeWithin(5, 30)
    expect(new Set(ofKey.slice(0, -1).map(({ status }) => status))).toEqual(new Set([403]))
    expect(quotaOf(ofKey[0] as Answer)).toEqual(['"key";q=4;w=2', '"key";r=3;t=1'])
    const refused = ofKey.at(-1) as Answer
    expect(quotaOf(refused)).toEqual(['"key";q=4;w=2', '"key";r=0;t=1'])
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.body).toMatchObject({
      type: '/problems/quota-exceeded',
      code: 'QUOTA_EXCEEDED',
      'violated-policies': ['key'],
      detail: 'requests of this API key are limited to 2 a second, and 4 at once',
    })

    const ofAddress = await until429(bad)
    expect(quotaOf(ofAddress.at(-1) as Answer)).toEqual(['"address";q=2;w=2', '"address";r=0;t=1'])
    expect(ofAddress.at(-1)?.body).toMatchObject({ 'violated-policies': ['address'] })
    expect(refusedByLimit.key - before.key).toBe(1)
    expect(refusedByLimit.address - before.address).toBe(1)
    // Without a key as well, and where there is no route.
    while ((await balances.get('/nowhere')).status !== 429);
    while ((await balances.get(path)).status !== 429);

    // A valid key of the same address goes on, and so do probes.
    expect(quotaOf(await balances.get(path, calm))).toEqual(['"key";q=4;w=2', '"key";r=3;t=1'])
    for (let nth = 0; nth < 6; nth++) {
      const probe = await balances.get('/livez', nth % 2 ? busy : {})
      expect([probe.status, quotaOf(probe)]).toEqual([200, [null, null]])
    }
    await eventually(async () => expect((await balances.get(path, busy)).status).toBe(403))
    await eventually(async () => expect((await balances.get(path, bad)).status).toBe(401))

    // HEAD is one request, too.
    const head = async () => {
      const { headers } = await fetch(`http://127.0.0.1:${service.port}${path}`, {
        method: 'HEAD',
        headers: other,
      })
      return headers.get('ratelimit')
    }
    expect(await head()).toBe('"key";r=3;t=1')
    expect(await head()).toBe('"key";r=2;t=1')
  } finally {
    await service.stop()
  }
})
