import { mkdirSync } from 'node:fs'
import type { AnyApi } from './api.ts'
import { apiVersions } from './apis/api-versions.ts'
import { createTopics } from './apis/create-topics.ts'
import { deleteGroups } from './apis/delete-groups.ts'
import { deleteTopics } from './apis/delete-topics.ts'
import { describeConfigs } from './apis/describe-configs.ts'
import { describeGroups } from './apis/describe-groups.ts'
import { fetch } from './apis/fetch.ts'
import { findCoordinator } from './apis/find-coordinator.ts'
import { heartbeat } from './apis/heartbeat.ts'
import { initProducerId } from './apis/init-producer-id.ts'
import { joinGroup } from './apis/join-group.ts'
import { leaveGroup } from './apis/leave-group.ts'
import { listGroups } from './apis/list-groups.ts'
import { listOffsets } from './apis/list-offsets.ts'
import { metadata } from './apis/metadata.ts'
import { offsetCommit } from './apis/offset-commit.ts'
import { offsetFetch } from './apis/offset-fetch.ts'
import { produce } from './apis/produce.ts'
import { syncGroup } from './apis/sync-group.ts'
import { CommittedOffsets } from './committed-offsets.ts'
import { Connection, type ConnectionLimits, connectionLimits, type Log, type Server } from './connection.ts'
import { lockDirectory } from './directory-lock.ts'
import { FaultInjection, type Faults } from './faults.ts'
import { Groups } from './groups.ts'
import { GroupCommit } from './log/group-commit.ts'
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

const retainEveryMs = 30_000

const apis: readonly AnyApi[] = [
  produce,
  fetch,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  apiVersions(() => apis),
  createTopics,
  deleteTopics,
  initProducerId,
  describeConfigs,
  deleteGroups,
]

/**
 * Resolves when clients may connect. Rejects when the port is taken (`EADDRINUSE`), or when another broker has the directory, which
 * it names by its pid.
 */
export async function startBroker(
  options: BrokerOptions,
  limits: ConnectionLimits = connectionLimits,
): Promise<Broker> {
  const {
    dataDir,
    host = '127.0.0.1',
    port = 0,
    partitionsDefault = 1,
    autoCreateTopics = false,
    fsync = true,
  } = options
  const log: Log = options.log ?? (() => {})
  mkdirSync(dataDir, { recursive: true })
  const unlock = lockDirectory(dataDir)
  try {
    const groupCommit = new GroupCommit(fsync)
    const topics = new Topics(dataDir, groupCommit, (topic, partition, bytes) => {
      log('warn', 'torn end of a log cut off', { topic, partition, bytes })
    })
    const offsets = new CommittedOffsets(dataDir, groupCommit)
    const groups = new Groups((message, fields) => log('info', message, fields))
    const connections = new Set<Connection>()
    const closeConnections = () => {
      for (const connection of [...connections]) connection.close()
    }
    const faults = new FaultInjection(groupCommit, closeConnections)

    const node = { host: advertised(host), port, partitionsDefault, autoCreateTopics, topics, groups, offsets }
    const server: Server = {
      node,
      apis: new Map(apis.map((api) => [api.key, api])),
      faults,
      limits,
      log,
      connections,
      heldBytes: 0,
    }
    const listener = Bun.listen<Connection>({
      hostname: host,
      port,
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

    const sweep = setInterval(() => {
      const now = performance.now()
      for (const connection of connections) connection.sweep(now)
    }, limits.sweepMs)
    const retain = setInterval(async () => {
      await groupCommit.idle()
      try {
        groups.forgetIdle()
        topics.retain(Date.now())
        offsets.compact()
      } catch (error) {
        log('error', 'old segments not removed', { error: String(error) })
      }
    }, retainEveryMs)

    let stopped: Promise<void> | undefined
    const stop = () => {
      stopped ??= (async () => {
        clearInterval(sweep)
        clearInterval(retain)
        listener.stop(true)
        faults.clear()
        closeConnections()
        groups.close()
        await groupCommit.flush()
        topics.close()
        offsets.close()
        unlock()
      })()
      return stopped
    }
    return {
      host: node.host,
      port: node.port,
      brokers: `${node.host}:${node.port}`,
      faults,
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    unlock()
    throw error
  }
}

/** Who listens on every address still has to name one. */
function advertised(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
}
