import type { Socket } from 'bun'
import type { Api, Client, Context } from './api.ts'
import type { Faults } from './faults.ts'
import { int16, int32, MalformedRequest, nullableString, Reader, tags, typeOf, Writer } from './wire.ts'

/** What a client may cost. */
export const connectionLimits = {
  /** A longer request closes its connection. */
  requestBytesMax: 32 << 20,
  /**
   * All connections together may hold this much of requests not served and answers not read; the
   * one that goes beyond is closed.
   */
  heldBytesMax: 256 << 20,
  connectionsMax: 2_000,
  /** A request that has begun must be complete within this time. */
  requestMs: 30_000,
}

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: object) => void

/** What all connections of a broker share. */
export type Server = Omit<Context, 'apis' | 'client' | 'refusal'> & {
  readonly apis: readonly Api[]
  readonly faults: Faults
  readonly limits: typeof connectionLimits
  readonly log: Log
  readonly connections: Set<Connection>
  heldBytes: number
}

/** More than this waiting behind a slow request, and the socket is not read until there is room again. */
const readAheadBytes = 1 << 20

/** In front of every request, and behind its size. */
export const requestHeader = typeOf({
  key: int16,
  version: int16,
  correlationId: int32,
  clientId: nullableString,
})
/** In front of every response. */
export const responseHeader = typeOf({ size: int32, correlationId: int32 })

/**
 * One client. Requests are served strictly one after the other, so answers keep the order of
 * requests and at most one answer is held for a client that does not read it.
 */
export class Connection implements Client {
  /** What the client calls itself. */
  id = ''
  /**
   * For the request that is being served: called when the connection is gone, so that nothing waits
   * for a response that is not read.
   */
  onClose: (() => void) | undefined
  #chunks: Buffer[] = []
  #receivedBytes = 0
  #serving = false
  #closed = false
  #unsent: Buffer | undefined
  #sent: (() => void) | undefined
  /** Runs while the first bytes of a request are here and the rest is not. */
  #incomplete: Timer | undefined

  constructor(
    readonly server: Server,
    readonly socket: Socket<Connection>,
  ) {
    socket.data = this
    server.connections.add(this)
    if (server.faults.refusing) this.close()
    else if (server.connections.size > server.limits.connectionsMax) this.close('too many connections')
  }

  get address(): string {
    return this.socket.remoteAddress
  }

  receive(chunk: Buffer): void {
    if (this.#closed) return
    this.#chunks.push(chunk)
    this.#receivedBytes += chunk.length
    if (!this.#hold(chunk.length)) return
    if (!this.#serving) void this.#serve()
    else if (this.#receivedBytes > readAheadBytes) this.socket.pause()
  }

  /** The socket takes more of an answer. */
  drain(): void {
    this.#unsent = this.#unsent?.subarray(Math.max(0, this.socket.write(this.#unsent)))
    if (!this.#unsent?.length) this.#sent?.()
  }

  /** With a reason it is the client's fault, and logged. */
  close(reason?: string): void {
    if (this.#closed) return
    if (reason) this.server.log('warn', 'connection closed', { reason, remote: this.address })
    this.closed()
    this.socket.terminate()
  }

  /** The socket is closed, by either side. */
  closed(): void {
    if (this.#closed) return
    this.#closed = true
    this.server.connections.delete(this)
    this.#hold(-this.#receivedBytes)
    this.#receivedBytes = 0
    this.#chunks = []
    clearTimeout(this.#incomplete)
    this.#sent?.()
    this.onClose?.()
  }

  async #serve(): Promise<void> {
    this.#serving = true
    try {
      for (let frame = this.#nextFrame(); frame && !this.#closed; frame = this.#nextFrame()) {
        const answer = await this.#answer(new Reader(frame))
        if (answer && !this.#closed) await this.#send(answer)
      }
    } catch (error) {
      const malformed = error instanceof MalformedRequest
      if (!malformed) this.server.log('error', 'request failed', { error: (error as Error).stack })
      this.close(malformed ? error.message : 'request failed')
    }
    this.#serving = false
    if (!this.#closed) this.socket.resume()
  }

  /** The next whole request without its size, when it has arrived. */
  #nextFrame(): Buffer | undefined {
    const { requestBytesMax, requestMs } = this.server.limits
    const end = this.#receivedBytes < 4 ? 4 : 4 + this.#first(4).readInt32BE(0)
    if (end !== 4 && (end < 12 || end > requestBytesMax))
      throw new MalformedRequest(`request of ${end - 4} bytes`)
    if (this.#receivedBytes < Math.max(end, 5)) {
      if (this.#receivedBytes > 0) {
        this.#incomplete ??= setTimeout(() => this.close('request not complete in time'), requestMs)
      }
      return undefined
    }
    clearTimeout(this.#incomplete)
    this.#incomplete = undefined
    const first = this.#first(end)
    if (first.length > end) this.#chunks[0] = first.subarray(end)
    else this.#chunks.shift()
    this.#receivedBytes -= end
    this.#hold(-end)
    return first.subarray(4, end)
  }

  /** The first bytes that were received, joined only when they came in pieces. */
  #first(length: number): Buffer {
    if ((this.#chunks[0]?.length ?? 0) < length) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] ?? Buffer.alloc(0)
  }

  async #answer(request: Reader): Promise<Buffer | undefined> {
    const { apis, faults } = this.server
    const { key, version, correlationId, clientId } = requestHeader.read(request)
    this.id = clientId ?? ''
    const api = apis.find((one) => one.key === key)
    if (!api) throw new MalformedRequest(`request ${key} is not known`)
    const isServed = version >= api.versions[0] && version <= api.versions[1]
    if (!isServed && !api.negotiates)
      throw new MalformedRequest(`${api.name} version ${version} is not served`)
    request.version = isServed ? version : 0
    request.flexible = request.version >= api.flexible
    tags.skip(request)

    await faults.resumed
    const fault = faults.take(api.name)
    if (fault?.kind === 'drop') this.close()
    if (this.#closed) return undefined
    const refusal = fault?.kind === 'error' ? fault.error : undefined
    const answer = new Writer(request.version)
    responseHeader.write(answer, { size: 0, correlationId })
    answer.flexible = request.flexible
    if (!api.negotiates) tags.writeNone(answer)
    const context: Context = {
      ...this.server,
      client: this,
      refusal: isServed ? refusal : 'UNSUPPORTED_VERSION',
    }
    const isAnswered = await api.dispatch(request, answer, context)
    if (fault?.kind === 'lose') this.close()
    if (fault?.kind === 'delay') await fault.until
    await faults.resumed
    return isAnswered ? sized(answer.finish()) : undefined
  }

  /** Resolves when the operating system has taken all of it, however slowly the client reads. */
  async #send(answer: Buffer): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#unsent = answer
    this.#sent = resolve
    this.drain()
    if (this.#unsent.length === 0) return
    // What is left is a view of the whole answer and keeps all of it in memory.
    if (this.#hold(answer.length)) await promise
    this.#hold(-answer.length)
  }

  /**
   * Counts bytes kept in memory for this client. False when that was one too many, and the
   * connection is closed.
   */
  #hold(bytes: number): boolean {
    this.server.heldBytes += bytes
    if (bytes > 0 && this.server.heldBytes > this.server.limits.heldBytesMax) {
      this.close('requests and answers of all connections hold too much')
    }
    return !this.#closed
  }
}

/** Fills in the size that stands in front of a message. */
export function sized(message: Buffer): Buffer {
  message.writeInt32BE(message.length - 4)
  return message
}
