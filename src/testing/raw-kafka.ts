/**
 * A Kafka client that does nothing by itself: it sends exactly the request it is told, in any order and any shape, and hands back
 * what the broker answered. For the promises of a broker that no client library lets a test ask about.
 */
import { connect, type Socket } from 'node:net'
import { crc32c } from '../embedded/broker/log/crc32c.ts'
import { Reader, Writer } from '../embedded/broker/wire.ts'

export class RawKafka {
  readonly #socket: Socket
  readonly #waiting: ((answer: Reader) => void)[] = []
  #received = Buffer.alloc(0)
  #correlationId = 0
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.#socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  static connect(brokers: string): Promise<RawKafka> {
    const [host, port] = brokers.split(',')[0]?.split(':') ?? []
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port: Number(port) }, () => resolve(new RawKafka(socket)))
      socket.once('error', reject)
    })
  }

  /** Sends one request; the answer is a reader that stands behind the correlation id. Rejects when the connection closes first. */
  request(key: number, version: number, body = new Writer()): Promise<Reader> {
    const correlationId = ++this.#correlationId
    this.send(frame(key, version, correlationId, body))
    return this.answer(correlationId)
  }

  /** The next answer that nobody waits for yet, which must be the one with this id. */
  answer(correlationId: number): Promise<Reader> {
    const answer = new Promise<Reader>((resolve) => this.#waiting.push(resolve)).then((reader) => {
      const answered = reader.int32()
      if (answered !== correlationId) throw new Error(`answer ${answered} came in place of ${correlationId}`)
      return reader
    })
    const lost = this.closed.then(() => Promise.reject(new Error('the broker closed the connection')))
    return Promise.race([answer, lost])
  }

  /** Sends bytes as they are. */
  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Stops reading, so that what the broker sends piles up on its side. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    await this.closed
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0)
      if (this.#received.length < end) return
      this.#waiting.shift()?.(new Reader(this.#received.subarray(4, end)))
      this.#received = this.#received.subarray(end)
    }
  }
}

export function frame(key: number, version: number, correlationId: number, body: Writer): Buffer {
  const header = new Writer().int16(key).int16(version).int32(correlationId).string('raw')
  const request = Buffer.concat([header.finish(), body.finish()])
  return Buffer.concat([new Writer().int32(request.length).finish(), request])
}

export type RawRecord = { value: string | Buffer; timestamp?: number }
export type RawProducer = { producerId: number; producerEpoch: number; baseSequence: number }

/** One record batch of format v2, not compressed. */
export function recordBatch(records: RawRecord[], producer?: RawProducer): Buffer {
  const timestamps = records.map(({ timestamp }) => timestamp ?? 1_700_000_000_000)
  const baseTimestamp = timestamps[0] ?? 0
  const encoded = records.map(({ value }, index) => {
    const bytes = Buffer.from(value)
    const timestampDelta = (timestamps[index] ?? 0) - baseTimestamp
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(timestampDelta),
      varint(index),
      varint(-1),
      varint(bytes.length),
      bytes,
      varint(0),
    ])
    return Buffer.concat([varint(body.length), body])
  })
  const checked = new Writer()
    .int16(0)
    .int32(records.length - 1)
    .int64(baseTimestamp)
    .int64(Math.max(...timestamps))
    .int64(producer?.producerId ?? -1)
    .int16(producer?.producerEpoch ?? -1)
    .int32(producer?.baseSequence ?? -1)
    .int32(records.length)
    .raw(Buffer.concat(encoded))
    .finish()
  const head = new Writer()
    .int64(0)
    .int32(checked.length + 9)
    .int32(-1)
    .int8(2)
  return head
    .int32(crc32c(checked) | 0)
    .raw(checked)
    .finish()
}

function varint(value: number): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  const bytes: number[] = []
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

export async function produceRaw(
  client: RawKafka,
  { topic, partition = 0, acks = -1, batch }: { topic: string; partition?: number; acks?: number; batch: Buffer },
): Promise<{ errorCode: number; baseOffset: number }> {
  const answer = await client.request(0, 7, produceBody({ topic, partition, acks, batch }))
  answer.int32()
  answer.string()
  answer.int32()
  answer.int32()
  return { errorCode: answer.int16(), baseOffset: answer.int64() }
}

export function produceBody({
  topic,
  partition = 0,
  acks = -1,
  batch,
}: {
  topic: string
  partition?: number
  acks?: number
  batch: Buffer
}) {
  const body = new Writer().string(null).int16(acks).int32(30_000)
  return body.int32(1).string(topic).int32(1).int32(partition).bytes(batch)
}

export type Fetched = { errorCode: number; highWatermark: number; startOffset: number; records: Buffer }

export async function fetchRaw(
  client: RawKafka,
  wanted: {
    topic: string
    partition?: number
    offset: number
    waitMaxMs?: number
    bytesMin?: number
    bytesMax?: number
  },
): Promise<Fetched> {
  const answer = await client.request(1, 11, fetchBody(wanted))
  answer.int32()
  if (answer.int16() !== 0) throw new Error('the fetch failed as a whole')
  answer.int32()
  answer.int32()
  answer.string()
  answer.int32()
  answer.int32()
  const errorCode = answer.int16()
  const highWatermark = answer.int64()
  answer.int64()
  const startOffset = answer.int64()
  answer.nullableArray(() => [answer.int64(), answer.int64()])
  answer.int32()
  return { errorCode, highWatermark, startOffset, records: answer.nullableBytes() ?? Buffer.alloc(0) }
}

export function fetchBody(wanted: {
  topic: string
  partition?: number
  offset: number
  waitMaxMs?: number
  bytesMin?: number
  bytesMax?: number
}) {
  const { topic, partition = 0, offset, waitMaxMs = 500, bytesMin = 1, bytesMax = 1 << 20 } = wanted
  const body = new Writer().int32(-1).int32(waitMaxMs).int32(bytesMin).int32(bytesMax).int8(0).int32(0).int32(-1)
  body.int32(1).string(topic).int32(1).int32(partition).int32(-1).int64(offset).int64(-1).int32(bytesMax)
  return body.int32(0).string('')
}

/** The offset of the first record at or after the timestamp (-1 the end of the log, -2 its start), or the error code. */
export async function listOffsetRaw(
  client: RawKafka,
  topic: string,
  timestamp: number,
  partition = 0,
): Promise<{ errorCode: number; offset: number }> {
  const body = new Writer().int32(-1).int8(0).int32(1).string(topic).int32(1).int32(partition).int64(timestamp)
  const answer = await client.request(2, 3, body)
  answer.int32()
  answer.int32()
  answer.string()
  answer.int32()
  answer.int32()
  const errorCode = answer.int16()
  answer.int64()
  return { errorCode, offset: answer.int64() }
}

export async function producerIdRaw(client: RawKafka): Promise<number> {
  const answer = await client.request(22, 1, new Writer().string(null).int32(60_000))
  answer.int32()
  if (answer.int16() !== 0) throw new Error('no producer id')
  return answer.int64()
}

/** A group member by hand. Every method answers with the broker's error code beside what else matters. */
export class RawMember {
  memberId = ''
  generation = -1

  constructor(
    readonly client: RawKafka,
    readonly groupId: string,
    readonly timeouts: { sessionMs: number; rebalanceMs: number },
  ) {}

  async join({ version = 5, metadata = 'm' } = {}) {
    const body = new Writer().string(this.groupId).int32(this.timeouts.sessionMs).int32(this.timeouts.rebalanceMs)
    body.string(this.memberId)
    if (version >= 5) body.string(null)
    body.string('consumer').int32(1).string('range').bytes(Buffer.from(metadata))
    const answer = await this.client.request(11, version, body)
    answer.int32()
    const errorCode = answer.int16()
    const generation = answer.int32()
    answer.nullableString()
    const leader = answer.string()
    const memberId = answer.string()
    const members = answer.array(() => {
      const id = answer.string()
      if (version >= 5) answer.nullableString()
      answer.bytes()
      return id
    })
    // The id comes with success, and with the refusal that says to come back with it.
    if (errorCode === 0 || errorCode === 79) this.memberId = memberId
    if (errorCode === 0) this.generation = generation
    return { errorCode, leader, members }
  }

  async sync(assignments: Record<string, string> = {}) {
    const body = new Writer().string(this.groupId).int32(this.generation).string(this.memberId).string(null)
    body.array(Object.entries(assignments), ([memberId, part]) => body.string(memberId).bytes(Buffer.from(part)))
    const answer = await this.client.request(14, 3, body)
    answer.int32()
    return { errorCode: answer.int16(), assignment: answer.bytes().toString() }
  }

  async heartbeat({ generation = this.generation, memberId = this.memberId } = {}): Promise<number> {
    const body = new Writer().string(this.groupId).int32(generation).string(memberId).string(null)
    const answer = await this.client.request(12, 3, body)
    answer.int32()
    return answer.int16()
  }

  async leave(): Promise<number> {
    const body = new Writer().string(this.groupId).int32(1).string(this.memberId).string(null)
    const answer = await this.client.request(13, 3, body)
    answer.int32()
    answer.int16()
    answer.int32()
    answer.string()
    answer.nullableString()
    return answer.int16()
  }

  async commit(
    topic: string,
    offset: number,
    { generation = this.generation, memberId = this.memberId } = {},
  ): Promise<number> {
    const body = new Writer().string(this.groupId).int32(generation).string(memberId)
    body.int32(1).string(topic).int32(1).int32(0).int64(offset).string('note')
    const answer = await this.client.request(8, 5, body)
    answer.int32()
    answer.int32()
    answer.string()
    answer.int32()
    answer.int32()
    return answer.int16()
  }

  /** -1 where nothing was committed. */
  async committed(topic: string): Promise<number> {
    const answer = await this.client.request(
      9,
      4,
      new Writer().string(this.groupId).int32(1).string(topic).int32(1).int32(0),
    )
    answer.int32()
    answer.int32()
    answer.string()
    answer.int32()
    answer.int32()
    return answer.int64()
  }
}
