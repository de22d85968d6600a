/**
 * Stream readers as a separate process, which opens the given streams and reports on request what they
 * received. Uses raw sockets and parses only what it counts, because a real client would cost more
 * than the service.
 */
export type Readers = {
  port: number
  paths: string[]
  /** Number of streams whose delays are sampled. */
  sampled: number
}
/**
 * Per stream, the number of events with an id after the first, and the last id. Delays in
 * milliseconds.
 */
export type StreamReport = {
  counts: number[]
  last: string[]
  faults: string[]
  megabytes: number
  p50: number
  p99: number
  max: number
}

if (process.send) {
  process.on('disconnect', () => process.exit(1))
  process.once('message', async (readers: Readers) => {
    const report = await open(readers)
    process.send?.('open')
    process.on('message', () => process.send?.(report()))
  })
}

async function open({ port, paths, sampled }: Readers): Promise<() => StreamReport> {
  const counts: number[] = []
  const last: string[] = []
  const faults: string[] = []
  const delays: number[] = []
  let bytes = 0
  await Promise.all(
    paths.map(async (path, index) => {
      const { promise: begun, resolve } = Promise.withResolvers<void>()
      counts[index] = -1
      let rest = ''
      await Bun.connect({
        hostname: '127.0.0.1',
        port,
        socket: {
          open: (socket) => void socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`),
          data(_, chunk) {
            bytes += chunk.length
            rest += chunk.toString('latin1')
            const end = rest.lastIndexOf('\n\n')
            const text = rest.slice(0, end + 2)
            rest = rest.slice(end + 2)
            let id: string | undefined
            for (let at = text.indexOf('\nid: '); at >= 0; at = text.indexOf('\nid: ', at + 5)) {
              id = text.slice(at + 5, text.indexOf('\n', at + 5))
              if (!follows(last[index], id)) faults.push(`${path}: ${id} came after ${last[index]}`)
              last[index] = id
              counts[index] = (counts[index] ?? 0) + 1
            }
            if (id !== undefined) resolve()
            if (index < sampled && (counts[index] ?? 0) > 0)
              for (const [, time = ''] of text.matchAll(/"created_at":"([^"]+)"/g))
                delays.push(Date.now() - Date.parse(time))
          },
          close: () => void faults.push(`${path}: closed`),
        },
      })
      await begun
    }),
  )
  delays.length = bytes = 0
  return () => {
    delays.sort((one, other) => one - other)
    const part = (share: number) => delays[Math.floor(delays.length * share)] ?? Number.NaN
    return {
      counts,
      last,
      faults,
      megabytes: bytes / 1e6,
      p50: part(0.5),
      p99: part(0.99),
      max: delays.at(-1) ?? Number.NaN,
    }
  }
}

/** Versions increase by one; positions increase. */
function follows(before: string | undefined, id: string): boolean {
  if (before === undefined) return true
  const [one = 0, place] = before.split(':').map(Number)
  const [other = 0, next] = id.split(':').map(Number)
  if (place === undefined || next === undefined) return other === one + 1
  return other > one || (other === one && next === place + 1)
}
