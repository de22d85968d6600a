import type { Socket } from 'bun'
import type { AnyApi, Client, Node } from './api.ts'
import { writeApiVersions } from './apis/api-versions.ts'
import { errorCodes } from './error-codes.ts'
import type { FaultInjection } from './faults.ts'
import { MalformedRequest, Reader, Writer } from './wire.ts'

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: object) => void

/** What one stranger may cost. */
export type ConnectionLimits = {
  /** A request announced as longer closes its connection. */
  requestBytesMax: number
  /** All connections together may hold this much of requests not served and answers not read; the one that goes beyond is closed. */
  heldBytesMax: number
  connectionsMax: number
  /** A request that has begun must be complete within this time. */
  requestMs: number
  /** How often that is looked at. */
  sweepMs: number
}

export const connectionLimits: ConnectionLimits = {
  requestBytesMax: 32 << 20,
  heldBytesMax: 256 << 20,
  connectionsMax: 2_000,
  requestMs: 30_000,
  sweepMs: 5_000,
}

/** What all connections of a broker share. */
export type Server = {
  readonly node: Node
  readonly apis: ReadonlyMap<number, AnyApi>
  readonly faults: FaultInjection
  readonly limits: ConnectionLimits
  readonly log: Log
  readonly connections: Set<Connection>
  heldBytes: number
}

/** More than this waiting behind a slow request, and the socket is not read until there is room again. */
const readAheadBytes = 1 << 20
const apiVersionsKey = 18

/**
 * One client. Requests are served strictly one after the other, so answers keep the order of requests and at most one answer is
 * held for a client that does not read it.
 *
 *     Request => size int32 · api_key int16 · api_version int16 · correlation_id int32 · client_id nullable string · body
 *     Response => size int32 · correlation_id int32 · body
 */
export class Connection {
  readonly #server: Server
  readonly #socket: Socket<Connection>
  readonly #onClose = new Set<() => void>()
  #chunks: Buffer[] = []
  #receivedBytes = 0
  #serving = false
  #closed = false
  #unsent: Buffer | undefined
  #sent: (() => void) | undefined
  /** When the first byte of a request that is not complete yet arrived; the clock of `performance.now`. */
  #incompleteSince: number | undefined

  constructor(server: Server, socket: Socket<Connection>) {
    this.#server = server
    this.#socket = socket
    server.connections.add(this)
  }

  /** Closes it again at once when there is no place for it. The socket must know its connection by then. */
  opened(): void {
    const { connections, faults, limits } = this.#server
    if (faults.refusing) this.close()
    else if (connections.size > limits.connectionsMax) this.close('too many connections')
  }

  receive(chunk: Buffer): void {
    if (this.#closed) return
    this.#chunks.push(chunk)
    this.#receivedBytes += chunk.length
    if (!this.#hold(chunk.length)) return
    if (!this.#serving) void this.#serve()
    else if (this.#receivedBytes > readAheadBytes) this.#socket.pause()
  }

  /** The socket takes more. */
  drain(): void {
    if (!this.#unsent) return
    this.#unsent = this.#write(this.#unsent)
    if (!this.#unsent) this.#sent?.()
  }

  /** Closes a client that has begun a request and does not finish it. */
  sweep(now: number): void {
    if (this.#incompleteSince !== undefined && now - this.#incompleteSince > this.#server.limits.requestMs) {
      this.close('request not complete in time')
    }
  }

  /** With a reason it is the client's fault, and logged. */
  close(reason?: string): void {
    if (this.#closed) return
    if (reason) this.#server.log('warn', 'connection closed', { reason, remote: this.#socket.remoteAddress })
    this.closed()
    this.#socket.terminate()
  }

  /** The socket is gone, whoever ended it. */
  closed(): void {
    if (this.#closed) return
    this.#closed = true
    this.#server.connections.delete(this)
    this.#hold(-this.#receivedBytes)
    this.#receivedBytes = 0
    this.#chunks = []
    this.#unsent = undefined
    this.#sent?.()
    for (const callback of this.#onClose) callback()
  }

  async #serve(): Promise<void> {
    this.#serving = true
    try {
      for (let frame = this.#nextFrame(); frame && !this.#closed; frame = this.#nextFrame()) {
        const answer = await this.#answer(frame)
        if (answer && !this.#closed) await this.#send(answer)
      }
    } catch (error) {
      if (error instanceof MalformedRequest) this.close(error.message)
      else {
        this.#server.log('error', 'request failed', { error: error instanceof Error ? error.stack : String(error) })
        this.close('request failed')
      }
    }
    this.#serving = false
    if (!this.#closed) this.#socket.resume()
  }

  /** The next whole request without its size, when it has arrived. */
  #nextFrame(): Buffer | undefined {
    this.#incompleteSince = undefined
    if (this.#receivedBytes === 0) return undefined
    this.#incompleteSince = performance.now()
    if (this.#receivedBytes < 4) return undefined
    let first = this.#chunks[0] ?? Buffer.alloc(0)
    if (first.length < 4) first = this.#join()
    const length = first.readInt32BE(0)
    if (length < 8 || length > this.#server.limits.requestBytesMax)
      throw new MalformedRequest(`request of ${length} bytes`)
    const end = length + 4
    if (this.#receivedBytes < end) return undefined
    if (first.length < end) first = this.#join()
    this.#incompleteSince = undefined
    if (first.length === end) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(end)
    this.#receivedBytes -= end
    this.#hold(-end)
    return first.subarray(4, end)
  }

  #join(): Buffer {
    const joined = Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }

  async #answer(frame: Buffer): Promise<Buffer | undefined> {
    const { node, apis, faults } = this.#server
    const reader = new Reader(frame)
    const key = reader.int16()
    const version = reader.int16()
    const correlationId = reader.int32()
    const writer = new Writer().int32(correlationId)

    const api = apis.get(key)
    if (!api) throw new MalformedRequest(`request ${key} is not known`)
    if (version < api.versions[0] || version > api.versions[1]) {
      if (key !== apiVersionsKey) throw new MalformedRequest(`${api.name} version ${version} is not served`)
      writeApiVersions(writer, { errorCode: errorCodes.UNSUPPORTED_VERSION, apis: [...apis.values()] }, 0)
      return writer.finish()
    }
    const clientId = reader.nullableString() ?? ''
    const request = api.parse(reader, version)

    await faults.resumed
    const fault = faults.take(api.name)
    if (fault?.kind === 'drop') return this.#drop()
    const refusal = fault?.kind === 'error' ? fault.error : undefined
    const answer = await api.answer(request, { ...node, version, refusal, client: this.#client(clientId) })
    if (fault?.kind === 'lose') return this.#drop()
    if (fault?.kind === 'delay') await fault.until
    await faults.resumed
    if (answer === undefined) return undefined
    api.write(writer, answer, version)
    return writer.finish()
  }

  #drop(): undefined {
    this.close()
  }

  #client(id: string): Client {
    return {
      id,
      host: `/${this.#socket.remoteAddress}`,
      onClose: (callback) => {
        this.#onClose.add(callback)
        return () => this.#onClose.delete(callback)
      },
    }
  }

  /** Resolves when the operating system has taken all of it, however slowly the client reads. */
  async #send(answer: Buffer): Promise<void> {
    const size = Buffer.allocUnsafe(4)
    size.writeInt32BE(answer.length)
    this.#unsent = this.#write(Buffer.concat([size, answer]))
    if (!this.#unsent) return
    // What is left is a view of the whole answer and keeps all of it in memory.
    if (this.#hold(answer.length)) {
      await new Promise<void>((resolve) => {
        this.#sent = resolve
      })
    }
    this.#hold(-answer.length)
  }

  /** What the socket did not take. */
  #write(bytes: Buffer): Buffer | undefined {
    const written = Math.max(0, this.#socket.write(bytes))
    return written < bytes.length ? bytes.subarray(written) : undefined
  }

  /** Counts bytes kept in memory for this client. False when that was one too many, and the connection is closed. */
  #hold(bytes: number): boolean {
    this.#server.heldBytes += bytes
    if (bytes > 0 && this.#server.heldBytes > this.#server.limits.heldBytesMax) {
      this.close('requests and answers of all connections hold too much')
    }
    return !this.#closed
  }
}
