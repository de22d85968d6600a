/**
 * A TCP proxy that cuts connections around a request: before the server has it, in the middle of it,
 * before the client has the response, or in the middle of that.
 */
import net from 'node:net'

const moments = ['before', 'in the request', 'after', 'in the response'] as const
type Moment = (typeof moments)[number]

export type CuttingProxy = {
  port: number
  /** Requests that came through, and how many of them were cut, by the moment. */
  requests: number
  cuts: Record<Moment, number>
  /** Cuts all open connections. */
  cutAll(): void
  [Symbol.asyncDispose](): Promise<void>
}

/** Cuts a share of the requests, by `random`. For clients that send one request after the other. */
export async function startCuttingProxy(
  server: { port: number },
  { share, random }: { share: number; random: () => number },
): Promise<CuttingProxy> {
  const ends = new Set<() => void>()
  const proxy: Pick<CuttingProxy, 'requests' | 'cuts'> = {
    requests: 0,
    cuts: { before: 0, 'in the request': 0, after: 0, 'in the response': 0 },
  }
  const draw = (): Moment | undefined => {
    proxy.requests++
    if (random() >= share) return undefined
    const moment = moments[Math.floor(random() * moments.length)] as Moment
    proxy.cuts[moment]++
    return moment
  }
  const listener = net.createServer({ noDelay: true }, (client) => {
    const upstream = net.connect({ port: server.port, host: '127.0.0.1', noDelay: true })
    const end = () => {
      client.destroy()
      upstream.destroy()
      ends.delete(end)
    }
    ends.add(end)
    let cut: Moment | undefined
    let isAnswered = true
    client.on('data', (data: Buffer) => {
      // What follows a response is the next request.
      if (isAnswered) cut = draw()
      isAnswered = false
      if (cut === 'before') return end()
      if (cut !== 'in the request') return upstream.write(data)
      upstream.end(data.subarray(0, Math.floor(data.length / 2)), end)
    })
    upstream.on('data', (data: Buffer) => {
      isAnswered = true
      if (cut === 'after') return end()
      if (cut !== 'in the response') return client.write(data)
      client.end(data.subarray(0, Math.floor(data.length / 2)), end)
    })
    for (const socket of [client, upstream]) socket.on('close', end).on('error', end)
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const cutAll = () => {
    for (const end of ends) end()
  }
  return Object.assign(proxy, {
    port: (listener.address() as net.AddressInfo).port,
    cutAll,
    async [Symbol.asyncDispose]() {
      listener.close()
      cutAll()
    },
  })
}
