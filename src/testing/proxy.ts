/**
 * Stands between a service and its server, and can keep silent as a network does that drops
 * packets: nothing is closed, nothing arrives.
 */
import net from 'node:net'

export type SilentProxy = {
  /** The address, through the proxy. */
  through(url: string): string
  /** What is connected now is cut in silence; what connects from now on gets through. */
  silence(): void
  /** The next connection that sends this to the server is cut in silence, before it arrives. */
  silenceOn(text: string): void
  /** What is connected now, and what connects from now on. */
  silenceAll(): void
  /** New connections get through again. What was held back stays so. */
  heal(): void
  /** Everything that was held back arrives after all, late. */
  release(): void
  /** Bytes that were sent to the server and held back. */
  held(): number
  [Symbol.asyncDispose](): Promise<void>
}

type Link = { isSilent: boolean; held: (() => void)[]; bytes: number; end(): void }

export async function startProxy(serverUrl: string): Promise<SilentProxy> {
  const server = new URL(serverUrl)
  const links = new Set<Link>()
  let isSilent = false
  let trigger: string | undefined
  const listener = net.createServer((client) => {
    const upstream = net.connect(Number(server.port), server.hostname)
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    const link: Link = { isSilent, held: [], bytes: 0, end }
    links.add(link)
    const pass = (deliver: () => void, bytes = 0) => {
      if (!link.isSilent) return deliver()
      link.bytes += bytes
      link.held.push(deliver)
    }
    client.on('data', (data) => {
      if (trigger !== undefined && data.includes(trigger)) {
        link.isSilent = true
        trigger = undefined
      }
      pass(() => upstream.write(data), data.length)
    })
    upstream.on('data', (data) => pass(() => client.write(data)))
    client.on('close', () => pass(() => upstream.end()))
    upstream.on('close', () => pass(() => client.end()))
    for (const socket of [client, upstream]) socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as net.AddressInfo
  const silence = () => {
    for (const link of links) link.isSilent = true
  }

  return {
    through(url) {
      const through = new URL(url)
      through.hostname = '127.0.0.1'
      through.port = String(port)
      return through.href
    },
    silence,
    silenceOn(text) {
      trigger = text
    },
    silenceAll() {
      isSilent = true
      silence()
    },
    heal() {
      isSilent = false
    },
    release() {
      for (const link of links) {
        link.isSilent = false
        for (const deliver of link.held.splice(0)) deliver()
      }
    },
    held: () => [...links].reduce((sum, { bytes }) => sum + bytes, 0),
    async [Symbol.asyncDispose]() {
      listener.close()
      for (const link of links) link.end()
    },
  }
}
