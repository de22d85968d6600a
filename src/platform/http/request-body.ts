/**
 * Bodies of requests: read whole, within bounds of size, time and memory, before anything is done
 * with them.
 */

export const bodyLimits = {
  /** No request of ours comes near it. In bytes. */
  bytesMax: 1024 * 1024,
  /** Up to here a body that says its length is left to the runtime, and not counted. In bytes. */
  smallMax: 64 * 1024,
  /** Of a body that is too large, what is read and dropped so that its sender sees the answer. In bytes. */
  drainMax: 16 * 1024 * 1024,
  /** From the head of the request to the end of its body, in milliseconds. */
  readMs: 10_000,
  /** Held of all larger bodies that are being received at one time, in bytes. */
  heldMax: 256 * 1024 * 1024,
}
export type BodyLimits = typeof bodyLimits

export type BodyFault = 'too_large' | 'too_slow' | 'cut_off' | 'overloaded'
export type ReadBody = { ok: true; bytes: Uint8Array } | { ok: false; fault: BodyFault }

const empty = new Uint8Array()
/** What was received, not what was announced: to announce a lot costs a sender nothing. */
let heldBytes = 0

/** With `keep: false` the body is read and dropped: an answer sent before that may never be seen. */
export async function readBody(
  request: Request,
  { keep = true, limits = bodyLimits }: { keep?: boolean; limits?: BodyLimits } = {},
): Promise<ReadBody> {
  if (!request.body) return { ok: true, bytes: empty }
  const announced = Number(request.headers.get('content-length') ?? Number.POSITIVE_INFINITY)
  try {
    return keep && announced <= limits.smallMax
      ? await readWhole(request, limits)
      : await readStream(request.body, { keep, limits })
  } catch {
    return { ok: false, fault: 'cut_off' }
  }
}

/** Most bodies are here already. */
async function readWhole(request: Request, { readMs }: BodyLimits): Promise<ReadBody> {
  let timer: Timer | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), readMs)
  })
  const whole = request.arrayBuffer()
  whole.catch(() => {})
  try {
    const read = await Promise.race([whole, late])
    return read === 'late' ? { ok: false, fault: 'too_slow' } : { ok: true, bytes: new Uint8Array(read) }
  } finally {
    clearTimeout(timer)
  }
}

async function readStream(
  body: ReadableStream<Uint8Array>,
  { keep, limits }: { keep: boolean; limits: BodyLimits },
): Promise<ReadBody> {
  const reader = body.getReader()
  let isLate = false
  // Ends the read that waits. Racing each read against one promise would hold every chunk until that settles.
  const timer = setTimeout(() => {
    isLate = true
    reader.cancel().catch(() => {})
  }, limits.readMs)
  const kept = new Received(limits)
  let [size, reads] = [0, 0]
  let fault: BodyFault | undefined
  try {
    for (;;) {
      const { done, value } = await reader.read()
      // Chunks that are here already are read without a turn for anybody else; after one, many come as one.
      if (++reads % readsPerTurn === 0) await turn()
      if (isLate) return { ok: false, fault: fault ?? 'too_slow' }
      if (done) break
      size += value.length
      if (size > limits.bytesMax) fault ??= 'too_large'
      if (keep && !fault && !kept.add(value)) fault = 'overloaded'
      if (fault) kept.drop()
      if (size > limits.drainMax) return { ok: false, fault: fault ?? 'too_large' }
    }
    return fault ? { ok: false, fault } : { ok: true, bytes: kept.whole() }
  } finally {
    clearTimeout(timer)
    kept.drop()
    reader.cancel().catch(() => {})
  }
}

const readsPerTurn = 100
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A body so far, in one piece, since many small ones take many times their bytes. Counts in `heldBytes`. */
class Received {
  #bytes = Buffer.alloc(0)
  #size = 0
  readonly #limits: BodyLimits
  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  /** False when all bodies together would be more than may be held. */
  add(chunk: Uint8Array): boolean {
    if (heldBytes + chunk.length > this.#limits.heldMax) return false
    const size = this.#size + chunk.length
    if (size > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#bytes.length))
      larger.set(this.whole())
      this.#bytes = larger
    }
    this.#bytes.set(chunk, this.#size)
    this.#size = size
    heldBytes += chunk.length
    return true
  }

  drop(): void {
    heldBytes -= this.#size
    this.#bytes = Buffer.alloc(0)
    this.#size = 0
  }

  whole(): Uint8Array {
    return this.#bytes.subarray(0, this.#size)
  }
}

/** Why the body cannot be read as JSON, by its headers; undefined where it can. */
export function mediaFault(headers: Headers): 'type_missing' | 'type' | 'charset' | 'encoding' | undefined {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && !/^\s*(identity)?\s*$/i.test(encoding)) return 'encoding'
  const type = headers.get('content-type')
  if (!type?.trim()) return 'type_missing'
  const [media = '', ...parameters] = type.split(';')
  if (media.trim().toLowerCase() !== 'application/json') return 'type'
  for (const parameter of parameters) {
    const [, name = '', value = ''] = /^\s*([^=\s]+)\s*=\s*"?([^"]*?)"?\s*$/.exec(parameter) ?? []
    if (name.toLowerCase() === 'charset' && !/^utf-?8$/i.test(value)) return 'charset'
  }
  return undefined
}
