/**
 * Whether the console says within a second where a transaction waits: on an `npm start` of which parts are
 * stopped, with the facts and the decision of the page. `TRIALS=25` makes a hundred of them; without it the
 * second is not a condition.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readDrillConfig } from '../../config/config'
import { eva, frank } from '../../config/local'
import { type Ask, askFacts, type Facts } from '../../console/where/facts'
import { type Cause, type StationName, type Whereabouts, whereIs } from '../../console/where/where-is'
import { redriveNew } from '../../drills/dead-letters'
import { Freezer } from '../../drills/freeze'
import { findLocalStack, type LocalStack } from '../../drills/local-stack'
import { rejectEntries, takeLead } from '../../drills/sessions-store'
import { freePort } from '../../platform/process/ports'
import { eventually } from '../eventually'

/** Of each kind. */
const trials = Number(process.env.TRIALS ?? 2)
/** As the page asks, in milliseconds. */
const [everyMs, answerMs] = [400, 2000]
/** In a run of all tests every part waits for the processor. */
const limitMs = process.env.TRIALS ? 1000 : 30_000

const dataDir = mkdtempSync(join(tmpdir(), 'saldo-where-'))
const environment = {
  DATA_DIR: dataDir,
  ...Object.fromEntries(
    ['WALLET_PORT', 'BALANCES_PORT', 'POSTGRES_PORT', 'KAFKA_PORT'].map((name) => [name, `${freePort()}`]),
  ),
}
let launched: ReturnType<typeof launch>
/** Processes change with the trials. */
const stack = (): LocalStack => findLocalStack(readDrillConfig(environment))
let urls: Record<'wallet' | 'balances', string>

function launch() {
  const child = Bun.spawn([process.execPath, 'src/local/start.ts', '--lifeline'], {
    cwd: join(import.meta.dir, '../../..'),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    ...({ stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' } as const),
  })
  let printed = ''
  ;(async () => {
    for await (const chunk of child.stdout) printed += new TextDecoder().decode(chunk)
  })()
  return { child, printed: () => printed }
}

beforeAll(async () => {
  launched = launch()
  await eventually(() => expect(launched.printed()).toContain('Saldo runs.'))
  const { wallet, balances } = stack()
  urls = { wallet: wallet.url, balances: balances.url }
}, 120_000)
afterAll(async () => {
  launched.child.stdin.end()
  await launched.child.exited
  rmSync(dataDir, { recursive: true, force: true })
}, 60_000)

const ask: Ask = async (service, path) => {
  try {
    const answer = await fetch(urls[service] + path, { signal: AbortSignal.timeout(answerMs) })
    return { status: answer.status, body: await answer.json() }
  } catch {
    return undefined
  }
}

async function post(service: 'wallet' | 'balances', path: string, body?: object) {
  const init = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const answer = await fetch(urls[service] + path, { method: 'POST', ...init })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
  return JSON.parse(text) as { id: string }
}

const act = (name: string) => post('balances', `/console/actions/${name}`)
/** There and back, so that no account runs out of money. */
const pay = (nth: number) => {
  const [from, to] = nth % 2 ? [frank, eva] : [eva, frank]
  return post('wallet', '/transactions', { account_id_from: from, account_id_to: to, amount: 1 })
}

type Kind = {
  name: string
  /** Before the transfer, or after it. */
  cause?: (undo: AsyncDisposableStack) => Promise<void>
  causeAfter?: () => Promise<unknown>
  expected: { at: StationName; cause: Partial<Cause> }
  /** It ends by itself. */
  isShort?: true
}

const kinds: Kind[][] = [
  [
    {
      name: 'the broker has stopped',
      async cause(undo) {
        undo.defer(async () => void (await act('start-broker')))
        await act('stop-broker')
      },
      expected: { at: 'published', cause: { kind: 'broker', service: 'wallet' } },
    },
    {
      name: 'the process of the broker does nothing',
      async cause(undo) {
        await undo.use(new Freezer()).freeze([stack().brokerPid])
      },
      expected: { at: 'published', cause: { kind: 'broker', service: 'wallet' } },
    },
  ],
  [
    {
      name: 'the projection is paused',
      async cause(undo) {
        undo.defer(async () => void (await act('resume-projection')))
        await act('pause-projection')
      },
      expected: { at: 'applied', cause: { kind: 'paused' } },
    },
  ],
  [
    {
      name: 'its record cannot be applied',
      async cause(undo) {
        undo.use(await redriveNew(stack().balances))
        undo.use(await rejectEntries(stack().ownerUrl('balances'), { accountId: eva, seconds: 180 }))
      },
      expected: { at: 'applied', cause: { kind: 'dead_letter', cause: 'not_storable' } },
    },
  ],
  [
    {
      name: 'no relay leads',
      async cause(undo) {
        undo.use(await takeLead(stack().serviceUrl('wallet')))
      },
      expected: { at: 'published', cause: { kind: 'relay' } },
    },
    {
      name: 'the wallet was killed while its relay did not lead',
      async cause(undo) {
        undo.use(await takeLead(stack().serviceUrl('wallet')))
      },
      causeAfter: () => act('kill-wallet'),
      expected: { at: 'published', cause: { kind: 'silent', service: 'wallet' } },
      isShort: true,
    },
  ],
]

type Result = { name: string; ms: number; isRight: boolean; last: Whereabouts }

const isRight = ({ waitsAt, cause }: Whereabouts, { at, cause: expected }: Kind['expected']): boolean =>
  waitsAt === at && Object.entries(expected).every(([name, value]) => cause?.[name as never] === value)

/** Polls as the page does. */
async function tryOne(kind: Kind, nth: number): Promise<Result> {
  let id: string
  let facts: Facts | undefined
  const look = async () => {
    facts = await askFacts(ask, id, { before: facts })
    return whereIs(facts)
  }
  const result = await (async (): Promise<Result> => {
    await using undo = new AsyncDisposableStack()
    await kind.cause?.(undo)
    id = (await pay(nth)).id
    if (kind.causeAfter) {
      await look()
      await kind.causeAfter()
    }
    const startedMs = performance.now()
    for (;;) {
      const last = await look()
      const ms = performance.now() - startedMs
      const right = isRight(last, kind.expected)
      if (!right && ms < 30_000) {
        await Bun.sleep(everyMs)
        continue
      }
      await Bun.sleep(kind.isShort ? 0 : everyMs)
      const still = kind.isShort ? last : await look()
      return { name: kind.name, ms, isRight: right && isRight(still, kind.expected), last: still }
    }
  })()
  await eventually(async () => expect((await look()).isDone).toBe(true), { intervalMs: everyMs })
  return result
}

const shown = (results: readonly Result[]): string => {
  const ms = results.map((one) => one.ms).toSorted((one, other) => one - other)
  const right = results.filter((one) => one.isRight && one.ms <= limitMs).length
  const at = (share: number) => Math.round(ms[Math.ceil(share * ms.length) - 1] ?? 0)
  return `${right}/${results.length} right within ${limitMs} ms, p50 ${at(0.5)} ms, max ${at(1)} ms`
}

test(
  'where a transaction waits is right within a second, and that it has arrived once it goes on',
  async () => {
    const results: Result[] = []
    for (let nth = 0; nth < trials; nth++)
      for (const variants of kinds) {
        const kind = variants[nth % variants.length] as Kind
        results.push(await tryOne(kind, nth))
      }
    const byName = Map.groupBy(results, ({ name }) => name)
    for (const [name, ofKind] of byName) console.log(`${name}: ${shown(ofKind)}`)
    console.log(`all: ${shown(results)}`)
    const wrong = results.filter((one) => !one.isRight || one.ms > limitMs)
    expect(wrong.map(({ name, ms, last }) => ({ name, ms, at: last.waitsAt, cause: last.cause }))).toEqual([])
  },
  60_000 + trials * 240_000,
)
