/** The purge of erased personal data, with a broker that fails and a wallet that is killed. */
import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Broker, startBroker } from '../../local/broker/broker'
import { connectKafka } from '../../platform/kafka/client'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { drawn } from '../../testing/random'
import { serviceConfig, spawnService } from '../../testing/stack'
import { log } from '../../testing/wallets'

const person = { name: 'Zenobia Quorra', email: 'zenobia@quorra.example' }

/** A broker of its own, whose files can be looked at, and a wallet on it that can be killed. */
async function openStage() {
  const shared = await backing()
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-purge-'))
  const broker = await startBroker({ dataDir, fsync: false })
  const database = await shared.createDatabase('wallet', 'wallet', true)
  const brokers = [broker.brokers]
  const config = serviceConfig('wallet', { database, brokers, topicPrefix: '', seed: true, partitions: 2 })
  const kafka = connectKafka(config.kafka, log)
  return {
    broker,
    config,
    /** The ids of clients with a name on the topic. */
    async named() {
      const ids = new Set<string>()
      for await (const { records } of kafka.read(await kafka.endOffsets(['personal-data'])))
        for (const { value } of records) {
          const { Name, Payload } = JSON.parse(String(value))
          if (Name === 'PersonalDataRecorded') ids.add(Payload.id)
        }
      return ids
    },
    /** Files of the broker with a byte of the person. */
    files: () =>
      readdirSync(dataDir, { recursive: true, withFileTypes: true }).flatMap((entry) => {
        const path = join(entry.parentPath, entry.name)
        return entry.isFile() && /quorra/i.test(readFileSync(path, 'latin1')) ? path : []
      }),
    async [Symbol.asyncDispose]() {
      await kafka.close()
      await broker.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

type Steps = [where: string, inject: (broker: Broker) => { hits: number; cancel(): void }][]
const steps: Steps = [
  ['before anything is published again', ({ faults }) => faults.inject('ListOffsets', { kind: 'drop' }, 1e9)],
  ['while it is published again', ({ faults }) => faults.inject('Produce', { kind: 'lose' }, 1e9)],
  ['before records are deleted', ({ faults }) => faults.inject('DeleteRecords', { kind: 'drop' }, 1e9)],
  ['after they were deleted', ({ faults }) => faults.inject('DeleteRecords', { kind: 'lose' }, 1e9)],
]

test('wherever the wallet is killed, the next one deletes what was erased, and nothing else', async () => {
  await using stage = await openStage()
  const { broker, config, named } = stage
  let wallet = await spawnService(config)
  for (const [where, inject] of drawn(steps)) {
    const id = String((await wallet.post('/clients', person)).body.id)
    await eventually(async () => expect(await named()).toContain(id))
    expect(stage.files()).not.toEqual([])
    const fault = inject(broker)
    expect((await wallet.delete(`/clients/${id}/personal-data`)).status).toBe(200)
    await eventually(() => expect([where, fault.hits > 0]).toEqual([where, true]))
    await wallet.kill()
    fault.cancel()

    // The next one is killed in its turn.
    wallet = await spawnService(config)
    const path = `/clients/${id}/personal-data`
    await eventually(async () => expect((await wallet.get(path)).body.purged_at).toBeString())
    expect([where, stage.files()]).toEqual([where, []])
    // The ten of the seed.
    expect([where, (await named()).size]).toEqual([where, 10])
  }
  await wallet.stop()
})

test('a broker that refuses is named, erasures wait for it, and one pass covers them', async () => {
  await using stage = await openStage()
  const { broker, config } = stage
  const wallet = await spawnService(config)
  const refused = broker.faults.inject('DeleteRecords', { kind: 'error', error: 'POLICY_VIOLATION' }, 1e9)
  const erase = async () => {
    const { id } = (await wallet.post('/clients', person)).body
    expect((await wallet.delete(`/clients/${id}/personal-data`)).status).toBe(200)
    return `/clients/${id}/personal-data`
  }
  const first = await erase()
  await eventually(async () => {
    const { status, body } = await wallet.get('/readyz')
    const { erasures } = body.checks as Record<string, unknown>
    expect([status, erasures]).toMatchObject([
      200,
      {
        status: 'warn',
        output: expect.stringMatching(/data of an erased client: .*cleanup.policy.* configured policy/),
      },
    ])
  })
  const paths = [first, await erase(), await erase()]
  expect((await wallet.get(first)).body).toMatchObject({ versions: [], purged_at: null })
  refused.cancel()
  const purged = await eventually(async () => {
    const answers = await Promise.all(paths.map((path) => wallet.get(path)))
    expect(answers.map(({ body }) => typeof body.purged_at)).toEqual(['string', 'string', 'string'])
    return answers.map(({ body }) => body.purged_at)
  })
  expect(new Set(purged).size).toBe(1)
  expect(stage.files()).toEqual([])
  expect((await wallet.get('/readyz')).body.checks).toMatchObject({ erasures: { status: 'pass' } })
  await wallet.stop()
})
