import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTestConfig } from '../../config/config.ts'
import { brokerSuite, type RunningBroker } from '../../testing/broker-suite.ts'

/** The broker as a process of its own, which is what start.ts runs, and which can be killed. */
async function startProcess(): Promise<RunningBroker> {
  const dataDir = mkdtempSync(join(tmpdir(), 'broker-suite-'))
  const launch = async (port: string) => {
    const process = Bun.spawn(
      [
        globalThis.process.execPath,
        join(import.meta.dir, 'main.ts'),
        '--data-dir',
        dataDir,
        '--port',
        port,
        '--lifeline',
      ],
      {
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'ignore',
      },
    )
    const { value } = await process.stdout.getReader().read()
    const [word, brokers] = new TextDecoder().decode(value).trim().split(' ')
    if (word !== 'ready' || !brokers) throw new Error('the broker did not start')
    return { process, brokers }
  }
  let running = await launch('0')
  const { brokers } = running
  return {
    brokers,
    async restart(signal) {
      running.process.kill(signal)
      await running.process.exited
      running = await launch(brokers.split(':')[1] ?? '')
    },
    async [Symbol.asyncDispose]() {
      running.process.kill()
      await running.process.exited
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

const given = readTestConfig(process.env).brokers?.join()
if (given) {
  const features = { restarts: false, sessionMsMin: 6_000, transactions: true }
  brokerSuite(
    `the broker at ${given}`,
    async () => ({ brokers: given, [Symbol.asyncDispose]: async () => {} }),
    features,
  )
} else {
  brokerSuite('the local broker', startProcess, { restarts: true, sessionMsMin: 400, transactions: false })
}
