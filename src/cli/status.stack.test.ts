import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { eventually } from '../testing/eventually'
import { startStack } from '../testing/stack'

test('status shows the outbox, the lag of each partition, and dead letters', async () => {
  await using stack = await startStack()
  const env = {
    WALLET_DATABASE_URL: stack.databases.wallet.serviceUrl,
    BALANCES_DATABASE_URL: stack.databases.balances.url,
    KAFKA_BROKERS: stack.backing.brokers.join(),
    KAFKA_TOPIC_PREFIX: stack.config.wallet.kafka.topicPrefix,
  }
  const run = async (variables: Record<string, string>) => {
    const command = [process.execPath, join(import.meta.dir, 'main.ts'), 'status']
    const child = Bun.spawn(command, { env: variables, stdout: 'pipe', stderr: 'pipe' })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    return { out, err, code: await child.exited }
  }
  await eventually(async () => {
    const { out, err, code } = await run(env)
    expect([err, code]).toEqual(['', 0])
    const lines = out.trimEnd().split('\n')
    expect([lines.at(0), lines.at(-1)]).toEqual(['outbox: 0 events pending', 'dead letters: 0'])
    const partitions = lines.slice(1, -1)
    expect(partitions.length).toBe(3 * stack.config.balances.kafka.partitions)
    for (const line of partitions) expect(line).toMatch(/\/\d+: lag 0, applied (\d+) of \1$/)
  })
  const unreachable = await run({ ...env, KAFKA_BROKERS: '127.0.0.1:1' })
  expect([unreachable.code, unreachable.out]).toEqual([1, ''])
  expect(unreachable.err).toContain('Check WALLET_DATABASE_URL, BALANCES_DATABASE_URL and KAFKA_BROKERS.')
})
