/**
 * Passes requests on to the supervisor of `npm start`, which alone can stop a broker and kill a service. It
 * is no service: it listens on loopback, for this process, under a token of this run.
 */

export type Control = { url: string; token: string }

/** As a sentence: what was done, or why not. */
export type Supervised = { done: string } | { refusal: string }

/** Milliseconds. The broker may take as long to stop, or to start. */
const timeoutMs = 60_000

export const openSupervisor =
  ({ url, token }: Control) =>
  async (action: string): Promise<Supervised> => {
    let answer: Response
    let body: { done?: string; detail?: string }
    try {
      answer = await fetch(`${url}/${action}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(timeoutMs),
      })
      body = (await answer.json()) as typeof body
    } catch {
      return { refusal: 'npm start, which would do it, does not answer' }
    }
    if (answer.ok && body.done !== undefined) return { done: body.done }
    return { refusal: body.detail ?? `npm start answers ${answer.status}` }
  }
