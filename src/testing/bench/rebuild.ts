/**
 * Builds the read model from a topic of movements: first on an empty database, then as a rebuild under
 * 100 reads per second. The baseline inserts the same precomputed rows. PostgreSQL is durable, broker
 * and service are separate processes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { applyProjection, type Claim } from '../../balances/projection/apply-store.ts'
import { project } from '../../balances/projection/project.ts'
import type { SaldoEvent } from '../../contract/events/events.ts'
import { cloudEventHeaders, encodeEvent } from '../../contract/wire/envelope.ts'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { connectKafka } from '../../platform/kafka/client.ts'
import type { OutgoingRecord } from '../../platform/kafka/records.ts'
import { openDatabase } from '../../platform/postgres/database.ts'
import { prepareDatabase } from '../../platform/postgres/migrate.ts'
import { createLog } from '../../platform/telemetry/log.ts'
import { eventually } from '../eventually.ts'
import { mulberry32 } from '../random.ts'
import { serviceConfig, spawnService } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { cpuMicrosOf } from './processes.ts'

const [accountsMax, sendSize, partitions, readsPerSecond] = [10_000, 1_000, 6, 100]
const long = { timeoutMs: 600_000, intervalMs: 100 }

export async function benchRebuild([count = '1000000']: string[]): Promise<void> {
  const events = Number(count)
  const directory = mkdtempSync(join(tmpdir(), 'bench-rebuild-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const owner = { user: 'bench', password: 'bench' }
    const databases = [
      { name: 'balances', ...owner },
      { name: 'bare', ...owner },
    ]
    const server = await startPostgres({ dataDir: join(directory, 'postgres'), databases })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    await publish(broker.brokers, events)
    console.log(`${events} movements among ${accountsMax} accounts are in the topic`)

    const bare = await insertAlone(server.url('bare'), Math.min(events, 200_000))
    console.log(`baseline, statements only: ${perSecond(bare)} events/s`)

    const url = server.url('balances')
    const serviceUrl = url.replace('bench:bench@', 'bench_service:bench_service@')
    const database = { name: 'balances', url, serviceUrl }
    const config = serviceConfig('balances', {
      database,
      brokers: [broker.brokers],
      topicPrefix: '',
      seed: false,
    })
    const startedAt = performance.now()
    const service = await spawnService(config)
    ending.push(() => service.kill())
    await eventually(async () => {
      const { body, headers } = await service.get('/balances?limit=1')
      if (headers.get('balances-lag') !== '0')
        throw new Error(`behind: ${JSON.stringify(body).slice(0, 100)}`)
    }, long)
    const first = { events, ms: performance.now() - startedAt }
    console.log(
      `from the start until caught up: ${perSecond(first)} events/s, ${ratio(first, bare)} of the baseline`,
    )

    const cpuBefore = cpuMicrosOf(service.pid)
    const rebuiltFrom = performance.now()
    await service.post('/rebuild', {})
    let [reads, failed, over] = [0, 0, false]
    const waits: number[] = []
    const reading = setInterval(async () => {
      const begun = performance.now()
      const { status } = await service
        .get(`/balances/${accountOf(++reads % accountsMax)}`)
        .catch(() => ({ status: 0 }))
      waits.push(performance.now() - begun)
      if (status !== 200) failed++
    }, 1000 / readsPerSecond)
    while (!over) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      const { body } = await service.get('/rebuild')
      over = body.state !== 'building'
      if (over && body.state !== 'swapped') throw new Error(`the rebuild ended as ${JSON.stringify(body)}`)
    }
    const rebuilt = { events, ms: performance.now() - rebuiltFrom }
    clearInterval(reading)
    const micros = (cpuMicrosOf(service.pid) - cpuBefore) / events
    waits.sort((a, b) => a - b)
    console.log(
      `rebuilt while serving: ${perSecond(rebuilt)} events/s, ${ratio(rebuilt, bare)} of the baseline,` +
        ` ${micros.toFixed(1)} µs CPU of the service per event`,
    )
    console.log(
      `${reads} reads meanwhile, ${failed} failed, p50 ${at(waits, 0.5)} ms,` +
        ` p99 ${at(waits, 0.99)} ms, max ${at(waits, 1)} ms`,
    )
    if (failed > 0) throw new Error('reads failed during the rebuild')
  } finally {
    for (const end of ending.reverse()) await end()
  }
}

type Timed = { events: number; ms: number }
const perSecond = ({ events, ms }: Timed) => Math.round((events * 1000) / ms).toLocaleString('en')
const ratio = (one: Timed, other: Timed) => `${(one.events / one.ms / (other.events / other.ms)).toFixed(2)}×`
const at = (sorted: number[], share: number) =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1)

const accountOf = (index: number) => `018d4be9-0000-7000-8000-${String(index).padStart(12, '0')}`

/** Movements between random accounts, with a fixed seed. */
export function* movements(count: number): Generator<SaldoEvent> {
  const random = mulberry32(7)
  const held = new Float64Array(accountsMax)
  const versions = new Int32Array(accountsMax)
  for (let index = 0; index < count; index++) {
    const from = Math.floor(random() * accountsMax)
    const to = (from + 1 + Math.floor(random() * (accountsMax - 1))) % accountsMax
    const amount = 1 + Math.floor(random() * 100)
    const [before, after] = [held[from] ?? 0, held[to] ?? 0]
    held[from] = before - amount
    held[to] = after + amount
    const created_at = new Date(1_700_000_000_000 + index).toISOString()
    const sides = { account_id_from: accountOf(from), account_id_to: accountOf(to) }
    const balances = { balance_account_id_from: before - amount, balance_account_id_to: after + amount }
    const [fromVersion, toVersion] = [(versions[from] ?? 0) + 1, (versions[to] ?? 0) + 1]
    versions[from] = fromVersion
    versions[to] = toVersion
    yield {
      name: 'BalanceUpdated',
      payload: {
        ...sides,
        ...balances,
        ...{ version_account_id_from: fromVersion, version_account_id_to: toVersion },
        ...{ held_account_id_from: 0, held_account_id_to: 0 },
        transaction_id: Bun.randomUUIDv7(),
        ...{ amount, currency: 'BRL', effective_at: created_at, created_at },
      },
    }
  }
}

async function publish(brokers: string, count: number): Promise<void> {
  const log = createLog({ service: 'bench', level: 'error', format: 'json' })
  const kafka = connectKafka({ brokers: [brokers], clientId: 'bench', ssl: false, sasl: undefined }, log)
  await kafka.ensureTopics(['clients', 'accounts', 'balances'], partitions)
  const publisher = kafka.publisher()
  let records: OutgoingRecord[] = []
  for (const event of movements(count)) {
    const { topic, key, value, ...rest } = encodeEvent(event, '')
    records.push({ topic, key, value, headers: cloudEventHeaders('/saldo/wallet', rest) })
    if (records.length < sendSize) continue
    await publisher.send(records)
    records = []
  }
  if (records.length > 0) await publisher.send(records)
  await publisher.close()
  await kafka.close()
}

/** The most the database can take: rows are precomputed, and no topic is read. */
async function insertAlone(url: string, events: number): Promise<Timed> {
  const log = createLog({ service: 'bench', level: 'error', format: 'json' })
  const folder = join(import.meta.dir, '../../../migrations/balances')
  await prepareDatabase({ url, folder, migrate: true, log, signal: new AbortController().signal })
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'bench' })
  const readings = [...movements(events)].map((event) => ({
    decoded: { kind: 'event', event } as const,
    timestampMs: 0,
    origin: null,
  }))
  const batches = Array.from({ length: Math.ceil(events / 3_000) }, (_, index) => {
    return project(readings.slice(index * 3_000, (index + 1) * 3_000), new Map())
  })
  const freely: Claim = (sql) => sql`select true`
  const begun = performance.now()
  for (const rows of batches) await applyProjection(database.sql, freely, { ...rows, deadLetters: [] })
  const ms = performance.now() - begun
  await database.close()
  return { events, ms }
}
