/** Raw HTTP: sends what no client library would, and returns the response. */
import { connect, type Socket } from 'node:net'

export type RawAnswer = {
  /** 0 without a response. */
  status: number
  headers: Headers
  text: string
  /** The server closed the connection. */
  isClosed: boolean
}

/** Text is sent as Latin-1; `end` closes the sending side; a function is awaited. */
export type RawPart = string | Uint8Array | 'end' | (() => Promise<unknown>)

/**
 * Resolves with the first response, once it is complete or the connection is closed. Rejects on
 * timeout.
 */
export async function rawRequest(
  port: number,
  parts: readonly RawPart[],
  timeoutMs = 20_000,
): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1')
  try {
    const answered = readAnswer(socket, timeoutMs)
    for (const part of parts) {
      if (part === 'end') socket.end()
      else if (typeof part === 'function') await part()
      else socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
    }
    return await answered
  } finally {
    socket.destroy()
  }
}

function readAnswer(socket: Socket, timeoutMs: number): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let received = ''
    let isClosed = false
    const look = () => {
      const answer = parseAnswer(received, isClosed)
      if (answer) done(() => resolve(answer))
    }
    const done = (settle: () => void) => {
      clearTimeout(timer)
      settle()
    }
    const timer = setTimeout(
      () => done(() => reject(new Error(`timeout, received only: ${received}`))),
      timeoutMs,
    )
    const close = () => {
      isClosed = true
      look()
    }
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      look()
    })
    // A reset counts as a close: the bytes before it are kept.
    socket.on('error', close).on('end', close).on('close', close)
  })
}

export function parseAnswer(received: string, isClosed: boolean): RawAnswer | undefined {
  const [, head = '', rest = ''] = /^((?:.+\r\n)+)\r\n([\s\S]*)$/.exec(received) ?? []
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)
  if (status === 100) return parseAnswer(rest, isClosed)
  const headers = new Headers(
    [...head.matchAll(/^([\w-]+): ?(.*)\r$/gm)].map(
      ([, name = '', value = '']) => [name, value] as [string, string],
    ),
  )
  const length = headers.get('content-length')
  const isWhole =
    status === 204 || status === 304 || (status > 0 && length !== null && rest.length >= Number(length))
  return isWhole || isClosed ? { status, headers, text: rest, isClosed } : undefined
}

/** The head of a request, with a Host unless `headers` names another. */
export function head(line: string, headers: Record<string, string> = {}): string {
  const all = { Host: 'localhost', ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line} HTTP/1.1\r\n${lines.join('')}\r\n`
}
