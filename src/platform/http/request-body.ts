/**
 * Bodies of requests: read whole, within bounds of size, time and memory, before anything is done
 * with them.
 */

export const bodyLimits = {
  /** No request of ours comes near it. In bytes. */
  bytesMax: 1024 * 1024,
  /**
   * Of a body that is too large, what is read and dropped so that its sender gets to the answer. In
   * bytes.
   */
  drainMax: 16 * 1024 * 1024,
  /** From the head of the request to the end of its body, in milliseconds. */
  readMs: 10_000,
  /** Held of all bodies that are on the way at one time, in bytes. */
  heldMax: 256 * 1024 * 1024,
}
export type BodyLimits = typeof bodyLimits

export type BodyFault = 'too_large' | 'too_slow' | 'cut_off' | 'overloaded'
export type ReadBody = { ok: true; bytes: Uint8Array } | { ok: false; fault: BodyFault }

const empty = new Uint8Array()
let heldBytes = 0

/** With `keep: false` the body is read and dropped: an answer sent before that may never be seen. */
export async function readBody(
  request: Request,
  { keep = true, limits = bodyLimits }: { keep?: boolean; limits?: BodyLimits } = {},
): Promise<ReadBody> {
  if (!request.body) return { ok: true, bytes: empty }
  const declared = Number(request.headers.get('content-length') ?? Number.POSITIVE_INFINITY)
  let timer: Timer | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), limits.readMs)
  })
  try {
    // Most bodies say how long they are, and are here already.
    return keep && declared <= limits.bytesMax
      ? await readWhole(request, declared, { late, limits })
      : await readStream(request.body, { keep, late, limits })
  } catch {
    return { ok: false, fault: 'cut_off' }
  } finally {
    clearTimeout(timer)
  }
}

type Bounds = { late: Promise<'late'>; limits: BodyLimits }

async function readWhole(request: Request, declared: number, { late, limits }: Bounds): Promise<ReadBody> {
  if (heldBytes + declared > limits.heldMax) return { ok: false, fault: 'overloaded' }
  heldBytes += declared
  try {
    const whole = request.arrayBuffer()
    whole.catch(() => {})
    const read = await Promise.race([whole, late])
    return read === 'late' ? { ok: false, fault: 'too_slow' } : { ok: true, bytes: new Uint8Array(read) }
  } finally {
    heldBytes -= declared
  }
}

async function readStream(
  body: ReadableStream<Uint8Array>,
  { keep, late, limits }: Bounds & { keep: boolean },
): Promise<ReadBody> {
  const reader = body.getReader()
  let chunks: Uint8Array[] = []
  let [size, held] = [0, 0]
  let fault: BodyFault | undefined
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), late])
      if (read === 'late') return { ok: false, fault: fault ?? 'too_slow' }
      if (read.done) break
      size += read.value.length
      if (size > limits.bytesMax) fault ??= 'too_large'
      else if (keep && heldBytes + read.value.length > limits.heldMax) fault ??= 'overloaded'
      if (size > limits.drainMax) return { ok: false, fault: fault ?? 'too_large' }
      if (fault || !keep) {
        chunks = []
        continue
      }
      chunks.push(read.value)
      held += read.value.length
      heldBytes += read.value.length
    }
    return fault ? { ok: false, fault } : { ok: true, bytes: Buffer.concat(chunks) }
  } finally {
    heldBytes -= held
    reader.cancel().catch(() => {})
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
