/** Reads request bodies before they are processed, bounded in size, time and memory. */

import { late, within } from '../process/retry'

export const bodyLimits = {
  /** Far more than any valid request. */
  bytesMax: 1024 * 1024,
  /** A body with a declared length up to this is read by the runtime, and not counted. */
  smallMax: 64 * 1024,
  /** How much of a body that is too large is read and dropped, so that its sender sees the response. */
  drainMax: 16 * 1024 * 1024,
  /** From the head of the request to the end of its body. */
  readMs: 10_000,
  /** Memory of all larger bodies that are being received. */
  heldMax: 256 * 1024 * 1024,
}
type BodyLimits = typeof bodyLimits

export type BodyFault = 'too_large' | 'too_slow' | 'cut_off' | 'overloaded'
type ReadBody = { ok: true; bytes: Uint8Array } | { ok: false; fault: BodyFault }

const empty = new Uint8Array()
/** Counts received bytes, not declared ones: declaring a lot costs a sender nothing. */
let heldBytes = 0

/** With `keep: false` the body is read and dropped: a response sent before that may never be seen. */
export async function readBody(
  request: Request,
  { keep = true, limits = bodyLimits }: { keep?: boolean; limits?: BodyLimits } = {},
): Promise<ReadBody> {
  const length = request.headers.get('content-length')
  try {
    // Without asking for the stream, which the runtime would have to make.
    if (keep && length !== null && Number(length) <= limits.smallMax) return await readWhole(request, limits)
    return request.body ? await readStream(request.body, { keep, limits }) : { ok: true, bytes: empty }
  } catch {
    return { ok: false, fault: 'cut_off' }
  }
}

/** Most bodies have arrived already. */
async function readWhole(request: Request, { readMs }: BodyLimits): Promise<ReadBody> {
  const read = await within(request.arrayBuffer(), readMs)
  return read === late ? { ok: false, fault: 'too_slow' } : { ok: true, bytes: new Uint8Array(read) }
}

async function readStream(
  body: ReadableStream<Uint8Array>,
  { keep, limits }: { keep: boolean; limits: BodyLimits },
): Promise<ReadBody> {
  const reader = body.getReader()
  let isLate = false
  // Ends a pending read. Racing reads against a promise would retain every chunk until it settles.
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
      // Reading buffered chunks would starve other requests; after a turn of the loop, many come as one.
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

/** The body so far, in one buffer, since small chunks take many times their bytes. Counts in `heldBytes`. */
class Received {
  #bytes = Buffer.alloc(0)
  #size = 0
  readonly #limits: BodyLimits
  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  /** False when all bodies together would exceed the bound. */
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

/** Why the headers rule out a JSON body; undefined if they do not. */
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
