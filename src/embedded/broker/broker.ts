import { apis } from './apis.ts'
import { CommittedOffsets } from './committed-offsets.ts'
import { Connection, connectionLimits, type Log } from './connection.ts'
import { lockDirectory } from './directory-lock.ts'
import { Faults } from './faults.ts'
import { Groups } from './group.ts'
import { Disk } from './log/disk.ts'
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
  /** Off, what was acknowledged survives a killed process but not a lost machine. */
  fsync?: boolean
  log?: Log
}

export type Broker = {
  readonly port: number
  /** `host:port`, as clients want it. */
  readonly brokers: string
  readonly faults: Faults
  /** Closes every connection, puts everything on disk and frees the directory. Twice is safe. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const housekeepingMs = 30_000

/**
 * Resolves when clients may connect. Rejects when the port is taken (`EADDRINUSE`), or when another broker has the directory, which
 * it names by its pid.
 */
export async function startBroker(
  { dataDir, host = '127.0.0.1', port = 0, fsync = true, log = () => {} }: BrokerOptions,
  limits = connectionLimits,
): Promise<Broker> {
  const lock = lockDirectory(dataDir)
  try {
    const disk = new Disk(fsync)
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
    // Who listens on every address still has to name one.
    const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
    const shared = { apis, topics, groups, offsets, faults, limits, log, connections, heldBytes: 0 }
    const server = { host: address, port, ...shared }
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
    server.port = listener.port

    const housekeeping = setInterval(async () => {
      try {
        groups.forgetIdle()
        offsets.compact()
        await topics.retain(Date.now())
      } catch (error) {
        log('error', 'old segments not removed', { error: String(error) })
      }
    }, housekeepingMs)

    let stopped = false
    const stop = async () => {
      if (stopped) return
      stopped = true
      clearInterval(housekeeping)
      listener.stop(true)
      faults.clear()
      closeConnections()
      groups.close()
      topics.close()
      offsets.close()
      lock.release()
    }
    const brokers = `${server.host}:${server.port}`
    return { port: server.port, brokers, faults, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    lock.release()
    throw error
  }
}
