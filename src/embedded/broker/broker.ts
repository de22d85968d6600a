import { mkdirSync } from 'node:fs'
import type { Api } from './api.ts'
import { apiVersions, findCoordinator, metadata } from './apis/cluster.ts'
import { fetch } from './apis/fetch.ts'
import { deleteGroups, describeGroups, listGroups } from './apis/groups.ts'
import { listOffsets } from './apis/list-offsets.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from './apis/membership.ts'
import { offsetCommit, offsetFetch } from './apis/offsets.ts'
import { initProducerId, produce } from './apis/produce.ts'
import { createTopics, deleteTopics, describeConfigs } from './apis/topics.ts'
import { CommittedOffsets } from './committed-offsets.ts'
import { Connection, type ConnectionLimits, connectionLimits, type Log, type Server } from './connection.ts'
import { lockDirectory } from './directory-lock.ts'
import { Faults } from './faults.ts'
import { Groups } from './group.ts'
import { Disk } from './log/append-file.ts'
import { Topics } from './topics.ts'

/**
 * A broker that speaks enough of the Kafka protocol for kafkajs, librdkafka and the Java tools, and keeps its log in files. One
 * node on one machine, for laptops and tests: no replication, no TLS, no passwords, no transactions. Production is Redpanda.
 */

export type BrokerOptions = {
  /** Everything lives here; made when absent. One broker at a time. */
  dataDir: string
  host?: string
  /** 0 asks for any free port. */
  port?: number
  /** Partitions of a topic that is created without a number. */
  partitionsDefault?: number
  autoCreateTopics?: boolean
  /** Off, what was acknowledged survives a killed process but not a lost machine. */
  fsync?: boolean
  log?: Log
}

export type Broker = {
  readonly host: string
  readonly port: number
  /** `host:port`, as clients want it. */
  readonly brokers: string
  readonly faults: Faults
  /** Closes every connection, puts everything on disk and frees the directory. Twice is safe. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const housekeepingMs = 30_000

const apis: readonly Api[] = [
  ...[apiVersions(() => apis), metadata, findCoordinator],
  ...[produce, initProducerId, fetch, listOffsets, offsetCommit, offsetFetch],
  ...[joinGroup, syncGroup, heartbeat, leaveGroup, listGroups, describeGroups, deleteGroups],
  ...[createTopics, deleteTopics, describeConfigs],
]

/**
 * Resolves when clients may connect. Rejects when the port is taken (`EADDRINUSE`), or when another broker has the directory, which
 * it names by its pid.
 */
export async function startBroker(
  { dataDir, host = '127.0.0.1', log = () => {}, ...options }: BrokerOptions,
  limits: ConnectionLimits = connectionLimits,
): Promise<Broker> {
  mkdirSync(dataDir, { recursive: true })
  const unlock = lockDirectory(dataDir)
  try {
    const disk = new Disk(options.fsync ?? true)
    const topics = new Topics(dataDir, disk, (topic, partition, bytes) => {
      log('warn', 'torn end of a log cut off', { topic, partition, bytes })
    })
    const offsets = new CommittedOffsets(dataDir, disk)
    const groups = new Groups((message, fields) => log('info', message, fields))
    const connections = new Set<Connection>()
    const closeConnections = () => {
      for (const connection of [...connections]) connection.close()
    }
    const faults = new Faults(disk, closeConnections)
    const node = {
      host: advertised(host),
      port: 0,
      partitionsDefault: options.partitionsDefault ?? 1,
      autoCreateTopics: options.autoCreateTopics ?? false,
      ...{ topics, groups, offsets },
    }
    const server: Server = { node, apis, faults, limits, log, connections, heldBytes: 0 }
    const listener = Bun.listen<Connection>({
      hostname: host,
      port: options.port ?? 0,
      socket: {
        open(socket) {
          socket.data = new Connection(server, socket)
          socket.data.opened()
        },
        data: (socket, chunk) => socket.data.receive(chunk),
        drain: (socket) => socket.data.drain(),
        close: (socket) => socket.data.closed(),
        error: (socket) => socket.data.close(),
      },
    })
    node.port = listener.port

    const housekeeping = setInterval(async () => {
      try {
        groups.forgetIdle()
        await topics.retain(Date.now())
        await disk.idle()
        offsets.compact()
      } catch (error) {
        log('error', 'old segments not removed', { error: String(error) })
      }
    }, housekeepingMs)

    const end = async () => {
      clearInterval(housekeeping)
      listener.stop(true)
      faults.clear()
      closeConnections()
      groups.close()
      await disk.flush()
      topics.close()
      offsets.close()
      unlock()
    }
    let stopped: Promise<void> | undefined
    const stop = () => {
      stopped ??= end()
      return stopped
    }
    const { port } = node
    return { host: node.host, port, brokers: `${node.host}:${port}`, faults, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    unlock()
    throw error
  }
}

/** Who listens on every address still has to name one. */
function advertised(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
}
