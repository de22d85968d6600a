/**
 * A TCP proxy that can go silent, like a network that drops packets: nothing is closed, nothing
 * arrives.
 */
import net from 'node:net'

export type SilentProxy = {
  /** The address, through the proxy. */
  through(url: string): string
  /** Silences the current connections; new ones get through. */
  silence(): void
  /** Silences the next connection that sends this text to the server, before it arrives. */
  silenceOn(text: string): void
  /** The same, after it arrived: the server executes it, and its answer is held. */
  silenceAfter(text: string): void
  /** Silences current and new connections. */
  silenceAll(): void
  /** New connections get through again; held bytes stay held. */
  heal(): void
  /** Delivers everything that was held, late. */
  release(): void
  /** Bytes to the server that are held. */
  held(): number
  [Symbol.asyncDispose](): Promise<void>
}

type Link = { isSilent: boolean; held: (() => void)[]; bytes: number; end(): void }

export async function startProxy(serverUrl: string): Promise<SilentProxy> {
  const server = new URL(serverUrl)
  const links = new Set<Link>()
  let isSilent = false
  let trigger: { text: string; arrives: boolean } | undefined
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
      if (trigger && data.includes(trigger.text)) {
        if (trigger.arrives) upstream.write(data)
        link.isSilent = true
        const { arrives } = trigger
        trigger = undefined
        if (arrives) return
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
      trigger = { text, arrives: false }
    },
    silenceAfter(text) {
      trigger = { text, arrives: true }
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
