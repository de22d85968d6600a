/**
 * A load balancer for several processes of one service. It takes turns among those in rotation, repeats
 * nothing, and answers 502 where a process gave no answer, which it leaves out for a second then.
 */
export type Balancer = {
  port: number
  add(port: number): void
  /** No more requests to this process; resolves once those in flight are answered. */
  drain(port: number): Promise<void>
  stop(): Promise<void>
}

type Upstream = { port: number; inFlight: number; isDownUntil: number; onIdle: () => void }

const downMs = 1000

export function startBalancer(): Balancer {
  const upstreams: Upstream[] = []
  let turn = 0
  const forward = async (request: Request): Promise<Response> => {
    const isUp = upstreams.filter(({ isDownUntil }) => isDownUntil < performance.now())
    const upstream = isUp[turn++ % isUp.length]
    if (!upstream) return badGateway('no process is in rotation')
    upstream.inFlight++
    try {
      const { pathname, search } = new URL(request.url)
      const body = request.method === 'GET' ? null : await request.arrayBuffer()
      const { method } = request
      const headers = new Headers(request.headers)
      headers.delete('host')
      const url = `http://127.0.0.1:${upstream.port}${pathname}${search}`
      const answer = await fetch(url, { method, headers, body, redirect: 'manual' })
      // In full: a process is done with a request only once its answer is here.
      return new Response(await answer.arrayBuffer(), answer)
    } catch (error) {
      upstream.isDownUntil = performance.now() + downMs
      return badGateway((error as Error).message)
    } finally {
      upstream.inFlight--
      if (upstream.inFlight === 0) upstream.onIdle()
    }
  }
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, idleTimeout: 120, fetch: forward })
  return {
    port: server.port as number,
    add: (port) => void upstreams.push({ port, inFlight: 0, isDownUntil: 0, onIdle: () => undefined }),
    drain(port) {
      const index = upstreams.findIndex((one) => one.port === port)
      const [upstream] = index < 0 ? [] : upstreams.splice(index, 1)
      if (!upstream || upstream.inFlight === 0) return Promise.resolve()
      return new Promise((resolve) => {
        upstream.onIdle = resolve
      })
    },
    stop: () => server.stop(true),
  }
}

const badGateway = (detail: string) => Response.json({ detail }, { status: 502 })
