/**
 * A Kafka client that does nothing by itself: it sends exactly the requests it is given, in any order
 * and shape, and returns the responses. For broker behaviour that no client library exposes. The
 * message schemas are those of the local broker; a mistake in them shows when the same suite runs
 * against Apache Kafka.
 */
import { connect, type Socket } from 'node:net'
import { crc32c } from '@platformatic/wasm-utils'
import { apiVersions, createTopics } from '../local/broker/apis/cluster.ts'
import {
  heartbeat,
  joinGroup,
  leaveGroup,
  offsetCommit,
  offsetFetch,
  syncGroup,
} from '../local/broker/apis/groups.ts'
import { fetch, initProducerId, listOffsets, produce } from '../local/broker/apis/records.ts'
import { requestHeader, responseHeader, sized } from '../local/broker/connection.ts'
import { readHeader } from '../local/broker/log/record-batch.ts'
import {
  int8,
  int16,
  int32,
  int64,
  Reader,
  type Type,
  tags,
  typeOf,
  Writer,
  type WrittenOf,
} from '../local/broker/wire.ts'

type Message<Body, Answer> = {
  key: number
  versions: readonly [lowest: number, highest: number]
  flexible: number
  request: Type<Body, unknown>
  response: Type<never, Answer>
}

export class RawKafka {
  readonly #socket: Socket
  readonly #waiting: ((answer: Reader) => void)[] = []
  #received = Buffer.alloc(0)
  #correlationId = 0
  /** Resolves when the connection is closed, by either side. */
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

  /**
   * Sends one request, by default in the newest version the local broker supports. Rejects when the
   * connection closes first.
   */
  async request<Body, Answer>(
    message: Message<Body, Answer>,
    body: Body,
    version = message.versions[1],
  ): Promise<Answer> {
    const correlationId = ++this.#correlationId
    this.send(frame(message, body, { version, correlationId }))
    const answer = await this.answer(correlationId)
    answer.version = version
    answer.flexible = version >= message.flexible
    if (message.key !== apiVersions.key) tags.skip(answer)
    return message.response.read(answer)
  }

  /**
   * The next response not yet awaited; it must have this id. The reader is positioned after the
   * header.
   */
  answer(correlationId: number): Promise<Reader> {
    const answer = new Promise<Reader>((resolve) => this.#waiting.push(resolve)).then((reader) => {
      const answered = responseHeader.read(reader).correlationId
      if (answered !== correlationId) throw new Error(`expected response ${correlationId}, got ${answered}`)
      return reader
    })
    const lost = this.closed.then(() => Promise.reject(new Error('the broker closed the connection')))
    return Promise.race([answer, lost])
  }

  /** Sends bytes as they are. */
  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Stops reading, so that responses pile up in the broker. */
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
      this.#waiting.shift()?.(new Reader(this.#received.subarray(0, end)))
      this.#received = this.#received.subarray(end)
    }
  }
}

/** A whole request as bytes. */
export function frame<Body>(
  { key, versions, flexible, request }: Omit<Message<Body, never>, 'response'>,
  body: Body,
  { version = versions[1], correlationId = 1 } = {},
): Buffer {
  const writer = new Writer(version)
  int32.write(writer, 0)
  requestHeader.write(writer, { key, version, correlationId, clientId: 'raw' })
  writer.flexible = version >= flexible
  tags.writeNone(writer)
  request.write(writer, body)
  return sized(writer.finish())
}

/** Bytes of any shape. */
export function encode<S extends Parameters<typeof typeOf>[0]>(shape: S, value: WrittenOf<S>): Buffer {
  const writer = new Writer()
  typeOf(shape).write(writer, value as never)
  return writer.finish()
}

export type RawRecord = {
  value: string | Buffer
  timestamp?: number
  headers?: readonly (readonly [name: Buffer, value: Buffer | null])[]
}
export type RawProducer = { producerId: number; producerEpoch: number; baseSequence: number }

/** Number of a codec, and the function that encodes the records. */
export type RawCodec = { codec: number; compress: (records: Buffer) => Buffer }
const notCompressed: RawCodec = { codec: 0, compress: (records) => records }

/** One record batch of format v2. */
export function recordBatch(
  records: RawRecord[],
  producer?: RawProducer,
  { codec, compress }: RawCodec = notCompressed,
): Buffer {
  const timestamps = records.map(({ timestamp }) => timestamp ?? 1_700_000_000_000)
  const baseTimestamp = timestamps[0] ?? 0
  const encoded = records.map(({ value, headers = [] }, index) => {
    const bytes = Buffer.from(value)
    const timestampDelta = (timestamps[index] ?? 0) - baseTimestamp
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(timestampDelta),
      varint(index),
      varint(-1),
      varint(bytes.length),
      bytes,
      varint(headers.length),
      ...headers.flatMap(([name, content]) => [
        varint(name.length),
        name,
        varint(content?.length ?? -1),
        content ?? Buffer.alloc(0),
      ]),
    ])
    return Buffer.concat([varint(body.length), body])
  })
  const header = encode(checkedHeader, {
    attributes: codec,
    lastOffsetDelta: records.length - 1,
    baseTimestamp,
    maxTimestamp: Math.max(...timestamps),
    producerId: producer?.producerId ?? -1,
    producerEpoch: producer?.producerEpoch ?? -1,
    baseSequence: producer?.baseSequence ?? -1,
    recordsCount: records.length,
  })
  const checked = Buffer.concat([header, compress(Buffer.concat(encoded))])
  const front = {
    baseOffset: 0,
    length: checked.length + 9,
    leaderEpoch: -1,
    magic: 2,
    crc: crc32c(checked) | 0,
  }
  return Buffer.concat([encode(uncheckedHeader, front), checked])
}

const uncheckedHeader = { baseOffset: int64, length: int32, leaderEpoch: int32, magic: int8, crc: int32 }
const checkedHeader = {
  attributes: int16,
  lastOffsetDelta: int32,
  baseTimestamp: int64,
  maxTimestamp: int64,
  producerId: int64,
  producerEpoch: int16,
  baseSequence: int32,
  recordsCount: int32,
}

function varint(value: number): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  const bytes: number[] = []
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

export async function createTopicRaw(client: RawKafka, name: string, partitions = 1): Promise<number> {
  const topics = [{ name, partitions, replicationFactor: 1 }]
  const answer = await client.request(createTopics, { topics, timeoutMs: 1_000, validateOnly: false })
  return only(answer.topics).errorCode
}

type Produced = { topic: string; partition?: number; acks?: number; batch: Buffer }

export function produceBody({ topic, partition = 0, acks = -1, batch }: Produced) {
  const topics = [{ name: topic, partitions: [{ index: partition, records: batch }] }]
  return { acks, timeoutMs: 30_000, topics }
}

export async function produceRaw(client: RawKafka, produced: Produced) {
  const { topics } = await client.request(produce, produceBody(produced))
  const { errorCode, baseOffset } = onlyPartition(topics)
  return { errorCode, baseOffset }
}

type Fetched = {
  topic: string
  partition?: number
  offset: number
  waitMaxMs?: number
  bytesMin?: number
  bytesMax?: number
}

export function fetchBody({
  topic,
  partition = 0,
  offset,
  waitMaxMs = 500,
  bytesMin = 1,
  bytesMax = 1 << 20,
}: Fetched) {
  const topics = [{ name: topic, partitions: [{ index: partition, offset, bytesMax }] }]
  return { waitMaxMs, bytesMin, bytesMax, topics }
}

export async function fetchRaw(client: RawKafka, request: Fetched) {
  const { errorCode, topics } = await client.request(fetch, fetchBody(request))
  if (errorCode !== 0) throw new Error('the fetch failed as a whole')
  return onlyPartition(topics)
}

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/**
 * Codec of each batch of a partition, from its attributes: a client without the codec may silently
 * store uncompressed batches.
 */
export async function codecsOf(client: RawKafka, topic: string, partition: number): Promise<string[]> {
  const { records } = await fetchRaw(client, { topic, partition, offset: 0, bytesMax: 8 << 20 })
  const found: string[] = []
  for (let at = 0, batch = readHeader(records); batch; batch = readHeader(records, at)) {
    found.push(codecs[batch.attributes & 7] ?? `codec ${batch.attributes & 7}`)
    at += batch.bytes
  }
  return found
}

/**
 * The offset of the first record at or after the timestamp (-1 the end of the log, -2 its start),
 * or the error code.
 */
export async function listOffsetRaw(client: RawKafka, topic: string, timestamp: number, partition = 0) {
  const positions = [{ name: topic, partitions: [{ index: partition, timestamp }] }]
  const { topics } = await client.request(listOffsets, { topics: positions })
  const { errorCode, offset } = onlyPartition(topics)
  return { errorCode, offset }
}

export async function producerIdRaw(client: RawKafka): Promise<number> {
  const body = { transactionalId: null, transactionTimeoutMs: 60_000 }
  const { errorCode, producerId } = await client.request(initProducerId, body)
  if (errorCode !== 0) throw new Error('no producer id')
  return producerId
}

function only<Item>(items: readonly Item[]): Item {
  const [item] = items
  if (item === undefined || items.length > 1) throw new Error(`expected one item, got ${items.length}`)
  return item
}

export function onlyPartition<Partition>(topics: readonly { partitions: readonly Partition[] }[]): Partition {
  return only(only(topics).partitions)
}

/** A group member driven by hand. Methods return the error code of the broker. */
export class RawMember {
  memberId = ''
  generation = -1

  constructor(
    readonly client: RawKafka,
    readonly groupId: string,
    readonly timeouts: { sessionMs: number; rebalanceMs: number },
  ) {}

  async join({ metadata = 'm' } = {}) {
    const { groupId, memberId, timeouts } = this
    const body = {
      groupId,
      memberId,
      sessionTimeoutMs: timeouts.sessionMs,
      rebalanceTimeoutMs: timeouts.rebalanceMs,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from(metadata) }],
    }
    // From version 4 on, brokers make a new member join twice.
    const joined = await this.client.request(joinGroup, body, 3)
    const { errorCode, leader } = joined
    if (errorCode === 0) Object.assign(this, { memberId: joined.memberId, generation: joined.generation })
    return { errorCode, leader, members: joined.members.map((member) => member.memberId) }
  }

  async sync(parts: Record<string, string> = {}) {
    const { groupId, generation, memberId } = this
    const assignments = Object.entries(parts).map(([id, part]) => ({
      memberId: id,
      assignment: Buffer.from(part),
    }))
    const chosen = { protocolType: 'consumer', protocol: 'range' }
    const synced = await this.client.request(syncGroup, {
      groupId,
      generation,
      memberId,
      ...chosen,
      assignments,
    })
    return { errorCode: synced.errorCode, assignment: synced.assignment.toString() }
  }

  async heartbeat({ generation = this.generation, memberId = this.memberId } = {}): Promise<number> {
    const { groupId } = this
    return (await this.client.request(heartbeat, { groupId, generation, memberId })).errorCode
  }

  async leave(): Promise<number> {
    const { groupId, memberId } = this
    return (await this.client.request(leaveGroup, { groupId, memberId }, 2)).errorCode
  }

  async commit(
    topic: string,
    offset: number,
    { generation = this.generation, memberId = this.memberId } = {},
  ): Promise<number> {
    const topics = [{ name: topic, partitions: [{ partition: 0, offset, metadata: 'note' }] }]
    const { groupId } = this
    return onlyPartition(
      (await this.client.request(offsetCommit, { groupId, generation, memberId, topics })).topics,
    ).errorCode
  }

  /** -1 if nothing is committed. */
  async committed(topic: string): Promise<number> {
    const body = { groupId: this.groupId, topics: [{ name: topic, partitions: [0] }] }
    return onlyPartition((await this.client.request(offsetFetch, body)).topics).offset
  }
}
