/** Topics are created with the settings that the promises need; those that exist with others are named. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { ConfigResourceTypes, Kafka, logLevel } from 'kafkajs'
import { startBalances } from './balances/service'
import { topics } from './contract/events/events'
import { log } from './testing/backing'
import { eventually } from './testing/eventually'
import { callerOf, startStack } from './testing/stack'
import { createServedTopics } from './testing/topics'
import { startWallet } from './wallet/service'

test('new topics keep all events; one that does not is a warning of both services', async () => {
  await using stack = await startStack({ start: [] })
  const { config, backing } = stack
  const { topicPrefix } = config.wallet.kafka
  const client = new Kafka({ brokers: backing.brokers, logLevel: logLevel.NOTHING })
  const broken = `${topicPrefix}balances`
  const configEntries = [{ name: 'retention.ms', value: '86400000' }]
  await createServedTopics(client, [{ topic: broken, numPartitions: 3, configEntries }])

  const services = [await startWallet(config.wallet, log), await startBalances(config.balances, log)]
  const callers = services.map(({ port }, index) => callerOf(index === 0 ? 'wallet' : 'balances', port))
  const admin = client.admin()
  try {
    for (const { get } of callers)
      await eventually(async () => {
        const { status, body } = await get('/readyz')
        expect([status, body.status]).toEqual([200, 'warn'])
        expect(body.checks).toMatchObject({
          topic_settings: {
            status: 'warn',
            output: expect.stringContaining(`${broken}: retention.ms=86400000`),
          },
        })
      })
    const status = Bun.spawn([process.execPath, join(import.meta.dir, 'cli/main.ts'), 'status'], {
      env: {
        WALLET_DATABASE_URL: stack.databases.wallet.serviceUrl,
        BALANCES_DATABASE_URL: stack.databases.balances.url,
        KAFKA_BROKERS: backing.brokers.join(),
        KAFKA_TOPIC_PREFIX: topicPrefix,
      },
      stdout: 'pipe',
    })
    expect(await new Response(status.stdout).text()).toMatch(
      new RegExp(`^topic settings: ${broken}: retention.ms=86400000: .* --set retention.ms=-1`, 'm'),
    )
    await admin.connect()
    const others = topics.map((topic) => topicPrefix + topic).filter((topic) => topic !== broken)
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: others.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
    })
    for (const { resourceName, configEntries } of resources) {
      const values = Object.fromEntries(
        configEntries.map(({ configName, configValue }) => [configName, configValue]),
      )
      expect([resourceName, values]).toMatchObject([
        resourceName,
        {
          'cleanup.policy': 'delete',
          'retention.ms': '-1',
          'retention.bytes': '-1',
          'max.message.bytes': '1048588',
        },
      ])
    }
  } finally {
    await admin.disconnect()
    await Promise.all(services.map((service) => service.stop()))
  }
})
