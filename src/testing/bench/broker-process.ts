/**
 * The local broker as a separate process, so that its CPU time and memory can be measured apart from
 * its clients.
 */
import { join } from 'node:path'

export type BrokerProcess = {
  brokers: string
  pid: number
  /** From the start of the process to its ready line. */
  readyMs: number
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

export async function startBrokerProcess(dataDir: string, port = 0): Promise<BrokerProcess> {
  const main = join(import.meta.dir, '../../local/broker/main.ts')
  const begun = performance.now()
  const child = Bun.spawn(
    [process.execPath, main, '--data-dir', dataDir, '--port', String(port), '--lifeline'],
    {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'ignore',
    },
  )
  const { value } = await child.stdout.getReader().read()
  const [word, brokers] = new TextDecoder().decode(value).trim().split(' ')
  if (word !== 'ready' || !brokers) throw new Error('the broker did not start')
  return {
    brokers,
    pid: child.pid,
    readyMs: performance.now() - begun,
    async end(signal) {
      child.kill(signal)
      await child.exited
    },
  }
}
