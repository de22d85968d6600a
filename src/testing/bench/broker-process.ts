/**
 * The local broker as a separate process, so that its CPU time and memory can be measured apart from
 * its clients.
 */
import { readFileSync } from 'node:fs'
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

/**
 * CPU time a process has used, in microseconds. NaN except on Linux.
 */
export function cpuMicrosOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14)
    return (Number(user) + Number(system)) * 10_000
  } catch {
    return Number.NaN
  }
}

/** Peak resident memory of a process. NaN except on Linux. */
export function peakMegabytesOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}
