/** A process of a service, of this checkout or of another one. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceName } from '../../config/config.ts'
import { freePort } from '../../platform/process/ports.ts'
import { eventually } from '../eventually.ts'

/** Where a version is, and the Bun that it needs. */
export type Checkout = { version: string; folder: string; bun: string }

export type Replica = {
  service: ServiceName
  version: string
  port: number
  pid: number
  logFile: string
  /** Resolves with the exit code. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number>
}

export type Settings = {
  brokers: string
  topicPrefix: string
  partitions?: number
  databases: Record<ServiceName, { url: string; serviceUrl: string }>
  /** For their logs. */
  folder: string
}

let started = 0

/** Starts a process and waits until it is ready. Throws with its log when it is not. */
export async function startReplica(
  { version, folder, bun }: Checkout,
  service: ServiceName,
  settings: Settings,
): Promise<Replica> {
  const port = freePort()
  const { url, serviceUrl } = settings.databases[service]
  mkdirSync(settings.folder, { recursive: true })
  const logFile = join(settings.folder, `${++started}-${service}-${version}.log`)
  const child = Bun.spawn([bun, 'src/main.ts'], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      SERVICE: service,
      HOST: '127.0.0.1',
      PORT: String(port),
      DATABASE_URL: serviceUrl,
      MIGRATION_DATABASE_URL: url,
      KAFKA_BROKERS: settings.brokers,
      KAFKA_TOPIC_PREFIX: settings.topicPrefix,
      KAFKA_PARTITIONS: String(settings.partitions ?? 3),
      SEED_ON_START: 'true',
      LOG_LEVEL: 'warn',
    },
    stdin: 'ignore',
    stdout: Bun.file(logFile),
    stderr: Bun.file(logFile),
  })
  await eventually(
    async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
      if (child.exitCode === null && answer?.status !== 200) throw new Error(`${service} is not ready`)
    },
    { intervalMs: 50 },
  )
  if (child.exitCode !== null)
    throw new Error(`${service} ${version} did not start: ${await Bun.file(logFile).text()}`)
  return {
    ...{ service, version, port, pid: child.pid, logFile },
    end(signal) {
      child.kill(signal)
      return child.exited
    },
  }
}
