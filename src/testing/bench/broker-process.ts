/**
 * The embedded broker as a process of its own, whose time and memory can be told apart from those
 * of its clients.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type BrokerProcess = {
  brokers: string
  pid: number
  /** From the start of the process to its `ready`. */
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
 * Processor time a process has used, in microseconds. NaN where the system does not tell (only
 * Linux does).
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

/** The most memory a process has ever had resident, in megabytes. NaN where the system does not tell. */
export function peakMegabytesOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}
