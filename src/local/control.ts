/**
 * Where the console asks for what only the supervisor can do. Listens on loopback, for callers that have the
 * token: it is new with each run, and goes to balances alone, in its environment.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** Resolves with what was done, as a sentence. Throws `NotPossible` where the state does not allow it. */
export type ControlActions = Readonly<Record<string, () => Promise<string>>>

export class NotPossible extends Error {
  override name = 'NotPossible'
}

/** `POST /NAME`, with the token as `Authorization: Bearer`. */
export function serveControl(actions: ControlActions) {
  const token = randomBytes(32).toString('base64url')
  const expected = digest(`Bearer ${token}`)
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    // Seconds. A broker that has much to read takes some to start.
    idleTimeout: 120,
    async fetch(request) {
      const { headers, method, url } = request
      if (!timingSafeEqual(digest(headers.get('authorization') ?? ''), expected))
        return respond(401, 'the token of this run is missing or wrong')
      // No page has a reason to be here.
      if (headers.has('origin')) return respond(403, 'not for pages')
      const name = new URL(url).pathname.slice(1)
      const act = Object.hasOwn(actions, name) ? actions[name] : undefined
      if (!act || method !== 'POST') return respond(404, `there is no action ${name}`)
      try {
        return Response.json({ done: await act() })
      } catch (error) {
        if (error instanceof NotPossible) return respond(409, error.message)
        return respond(500, (error as Error).message)
      }
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}`,
    token,
    stop: () => server.stop(true),
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

const respond = (status: number, detail: string): Response => Response.json({ detail }, { status })
