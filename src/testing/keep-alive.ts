/** Callers that keep their connections, as load balancers and HTTP clients do. */
import { connect, type Socket } from 'node:net'
import { pause } from '../platform/process/retry'
import { parseAnswer, type RawAnswer } from './raw-http'

export type Asked = {
  /** How often each status was answered. */
  answered: Record<number, number>
  /** Answers after which the service wanted the connection to end. */
  last: number
  /** What became of requests that got no answer. */
  lost: string[]
}

type Caller = {
  port: number
  /** A request, as it is sent. */
  next: () => string
  asked: Asked
  /** Between an answer and the next request, in milliseconds. */
  thinkMs?: () => number
}

export const nothingAsked = (): Asked => ({ answered: {}, last: 0, lost: [] })

/**
 * Sends one request after the other over a connection that it keeps, and opens another where the service
 * ends it. Resolves once connections are refused.
 */
export async function keepAsking({ port, next, asked, thinkMs = () => 0 }: Caller): Promise<void> {
  for (;;) {
    const socket = await opened(port)
    if (!socket) return
    for (let isKept = true; isKept; ) {
      const answer = await exchange(socket, next())
      isKept = note(asked, answer)
      await pause(thinkMs())
      isKept &&= !socket.readableEnded && !socket.destroyed
    }
    socket.destroy()
  }
}

/** Returns whether the connection goes on. */
function note(asked: Asked, answer: RawAnswer | string): boolean {
  if (typeof answer === 'string') {
    asked.lost.push(answer)
    return false
  }
  asked.answered[answer.status] = (asked.answered[answer.status] ?? 0) + 1
  const isLast = answer.headers.get('connection') === 'close'
  if (isLast) asked.last++
  return !isLast
}

function opened(port: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    // Later errors, too: without a listener they would end the process.
    socket.on('error', () => resolve(undefined)).on('connect', () => resolve(socket))
  })
}

function exchange(socket: Socket, request: string): Promise<RawAnswer | string> {
  return new Promise((resolve) => {
    let received = ''
    const done = (result: RawAnswer | string) => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose).off('end', onClose).off('error', onError)
      resolve(result)
    }
    const onData = (chunk: Buffer) => {
      received += chunk.toString('latin1')
      const answer = parseAnswer(received, false)
      if (answer) done(answer)
    }
    const onClose = () => done(`closed after ${received.length} bytes`)
    const onError = (error: NodeJS.ErrnoException) => done(`${error.code} after ${received.length} bytes`)
    const timer = setTimeout(() => done('no answer within 20 s'), 20_000)
    socket.on('data', onData).on('close', onClose).on('end', onClose).on('error', onError)
    socket.write(request)
  })
}
