/** Topics that exist are compared with what is needed, on a broker that may refuse to show them. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { incrementalAlterConfigs } from '../../local/broker/apis/cluster'
import { startBroker } from '../../local/broker/broker'
import { eventually } from '../../testing/eventually'
import { RawKafka } from '../../testing/raw-kafka'
import type { Log } from '../telemetry/log'
import { connectKafka } from './client'
import { watchTopicSettings } from './topic-settings'

test('a setting that breaks a promise warns until it is mended, and a refusal is logged once', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-broker-'))
  const broker = await startBroker({ dataDir, fsync: false })
  const lines: string[] = []
  const log: Log = {
    ...{ debug() {}, error() {} },
    info: (_: object, text?: string) => lines.push(`info ${text}`),
    warn: (_: object, text?: string) => lines.push(`warn ${text}`),
    child: () => log,
  } as unknown as Log
  const kafka = connectKafka({ brokers: [broker.brokers], clientId: 'x', ssl: false, sasl: undefined }, log)
  await kafka.ensureTopics(['kept'], 1)
  lines.length = 0
  const part = watchTopicSettings({
    kafka,
    topics: ['kept', 'missing'],
    findFaults: (described, brokers) =>
      described.flatMap(({ topic, replicas, settings }) =>
        settings['retention.ms'] === '604800000' ? `${topic} ${replicas}/${brokers}` : [],
      ),
    log,
    everyMs: 10,
    missingMs: 10,
  })
  const stopping = new AbortController()
  const running = part.run?.(stopping.signal, () => {})
  try {
    await eventually(() => expect(part.health?.()).toEqual({ status: 'warn', output: 'kept 1/1' }))
    await using raw = await RawKafka.connect(broker.brokers)
    const settings = [{ name: 'retention.ms', operation: 0, value: '-1' }]
    const resources = [{ type: 2, name: 'kept', settings }]
    await raw.request(incrementalAlterConfigs, { resources, validateOnly: false })
    await eventually(() => expect(part.health?.()).toEqual({ status: 'pass' }))

    const refused = { kind: 'error', error: 'TOPIC_AUTHORIZATION_FAILED' } as const
    const refusals = broker.faults.inject('DescribeConfigs', refused, 1_000)
    await eventually(() => expect(refusals.hits).toBeGreaterThan(2))
    expect(part.health?.()).toEqual({
      status: 'pass',
      output: 'topic settings are not checked. To have them checked, allow DescribeConfigs on kept',
    })
    // A broker that is away is not its business.
    await broker.stop()
    expect(part.health?.()).toMatchObject({ status: 'pass' })
    expect(lines).toEqual([
      'warn topic setting breaks a promise: kept 1/1',
      'info topic settings are as they should be',
      expect.stringMatching(/^info topic settings are not checked/),
    ])
  } finally {
    stopping.abort()
    await running
    await kafka.close()
    await broker.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
})
