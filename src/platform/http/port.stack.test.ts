/** Two services on one port would share it in silence, and each would see some of the requests. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { serviceNames } from '../../config/config'
import { startStack } from '../../testing/stack'

test('a service on a port in use exits at once, naming port, holder and remedy', async () => {
  await using stack = await startStack()
  for (const service of serviceNames) {
    const { url } = stack.config[service].database
    const { port } = stack[service]
    for (const HOST of ['127.0.0.1', '0.0.0.0']) {
      const second = Bun.spawn([process.execPath, join(import.meta.dir, '../../main.ts')], {
        env: {
          PATH: process.env.PATH,
          SERVICE: service,
          HOST,
          PORT: String(port),
          DATABASE_URL: url,
          KAFKA_BROKERS: '127.0.0.1:1',
        },
        stdout: 'pipe',
        stderr: 'pipe',
      })
      expect(await second.exited).toBe(1)
      const printed = (await new Response(second.stdout).text()) + (await new Response(second.stderr).text())
      expect(printed).toMatch(
        new RegExp(`port ${port} on ${HOST} is in use by process ${process.pid} \\(.+PORT`),
      )
      expect(printed).not.toMatch(/listening|\bat \w+ \(/)
    }
    expect((await stack[service].get('/livez')).status).toBe(200)
  }
})
