import { portConflictOf } from '../../platform/process/ports.ts'
import { lockDirectory } from '../directory-lock.ts'
import { makeTreePrivate } from '../private-files.ts'
import * as cluster from './apis/cluster.ts'
import * as groupApis from './apis/groups.ts'
import * as records from './apis/records.ts'
import { Connection, connectionLimits, type Log } from './connection.ts'
import { Faults } from './faults.ts'
import { Groups } from './group.ts'
import { Disk } from './log/disk.ts'
import type { Damage } from './log/segment.ts'
import { type Place, Topics } from './topics.ts'

/**
 * A broker that speaks enough of the Kafka protocol for kafkajs, librdkafka and the Java tools, and
 * keeps its log in files. One node on one machine, for laptops and tests: no replication, no TLS,
 * no passwords, no transactions. Production is Redpanda.
 */

/** Every request that is served; these files export nothing else. */
export const apis = [...Object.values(cluster), ...Object.values(records), ...Object.values(groupApis)]
type ApiName = (typeof apis)[number]['name']

export type BrokerOptions = {
  /** Created when absent. One broker at a time. */
  dataDir: string
  host?: string
  /** 0 asks for any free port. */
  port?: number
  /** Off, what was acknowledged survives a killed process but not a lost machine. */
  fsync?: boolean
  log?: Log
}

export type Broker = {
  readonly port: number
  /** `host:port`, as clients want it. */
  readonly brokers: string
  readonly faults: Faults<ApiName>
  /** Closes every connection, puts everything on disk and frees the directory. Twice is safe. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const housekeepingMs = 30_000

/**
 * Resolves when clients may connect. Rejects when the port is taken (`EADDRINUSE`), or when another
 * broker has the directory, which it names by its pid.
 */
export async function startBroker(
  { dataDir, host = '127.0.0.1', port = 0, fsync = true, log = () => {} }: BrokerOptions,
  limits = connectionLimits,
): Promise<Broker> {
  const resources = new DisposableStack()
  const stop = async () => resources.dispose()
  try {
    resources.adopt(lockDirectory(dataDir), (lock) => lock.release())
    makeTreePrivate(dataDir)
    const disk = new Disk(fsync)
    const onDamage = (place: Place, damage: Damage) => {
      log('warn', explainDamage(damage), { ...place, ...damage })
    }
    const topics = resources.adopt(new Topics(dataDir, disk, onDamage), (opened) => opened.close())
    const { catalog } = topics
    const logGroup = (message: string, fields: object) => log('info', message, fields)
    const groups = resources.adopt(new Groups(logGroup), (opened) => opened.close())
    const connections = new Set<Connection>()
    const closeConnections = () => {
      for (const connection of [...connections]) connection.close()
    }
    const faults = resources.adopt(new Faults<ApiName>(disk, closeConnections), (injected) =>
      injected.clear(),
    )
    resources.defer(closeConnections)
    // A wildcard bind still needs an advertised address.
    const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
    const shared = { apis, topics, groups, catalog, faults, limits, log, connections, heldBytes: 0 }
    const server = { host: address, port, ...shared }
    const taken = port === 0 ? null : portConflictOf(port, host)
    if (taken)
      throw Object.assign(new Error(`cannot listen on port ${port} of ${host}: ${taken}`), { code: taken })
    const listener = Bun.listen<Connection>({
      hostname: host,
      port,
      socket: {
        open: (socket) => void new Connection(server, socket),
        data: (socket, chunk) => socket.data.receive(chunk),
        drain: (socket) => socket.data.drain(),
        close: (socket) => socket.data.closed(),
        error: (socket) => socket.data.close(),
      },
    })
    resources.adopt(listener, (open) => open.stop(true))
    server.port = listener.port

    const housekeeping = setInterval(async () => {
      groups.forgetIdle()
      await topics.retain(Date.now()).catch((error) => {
        log('error', 'segments not written, or old ones not removed', { error: String(error) })
      })
    }, housekeepingMs)
    resources.defer(() => clearInterval(housekeeping))
    const { port: listening } = listener
    return { port: listening, brokers: `${address}:${listening}`, faults, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function explainDamage({ file, bytes, fromOffset, toOffset }: Damage): string {
  if (bytes === 0) return `an offset in the log was damaged and is mended: ${file}`
  const records =
    toOffset > fromOffset ? `records from offset ${fromOffset} to ${toOffset - 1}` : 'no whole record'
  return `${bytes} bytes of a log cannot be read (${records}): kept in ${file}`
}
