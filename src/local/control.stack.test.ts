import { expect, test } from 'bun:test'
import { NotPossible, serveControl } from './control.ts'

test('only a caller with the token of this run is served, and no page', async () => {
  const done: string[] = []
  const control = serveControl({
    async 'stop-broker'() {
      done.push('stop-broker')
      return 'the broker is stopped'
    },
    async 'kill-wallet'() {
      throw new NotPossible('the wallet does not run')
    },
  })
  const other = serveControl({})
  const post = async (path: string, headers: Record<string, string> = {}, method = 'POST') => {
    const answer = await fetch(control.url + path, { method, headers })
    return [answer.status, await answer.json()]
  }
  const authorization = `Bearer ${control.token}`
  try {
    const refused = { detail: 'the token of this run is missing or wrong' }
    for (const wrong of [
      '',
      'Bearer',
      'Bearer ',
      `Bearer ${other.token}`,
      `${authorization}x`,
      control.token,
    ])
      expect(await post('/stop-broker', { authorization: wrong })).toEqual([401, refused])
    expect(await post('/stop-broker')).toEqual([401, refused])
    expect(await post('/stop-broker', { authorization, origin: 'http://127.0.0.1' })).toEqual([
      403,
      { detail: 'not for pages' },
    ])
    for (const path of ['/', '/unknown', '/constructor', '/stop-broker/'])
      expect((await post(path, { authorization }))[0]).toBe(404)
    expect((await post('/stop-broker', { authorization }, 'GET'))[0]).toBe(404)
    expect(done).toEqual([])

    expect(await post('/stop-broker', { authorization })).toEqual([200, { done: 'the broker is stopped' }])
    expect(await post('/kill-wallet', { authorization })).toEqual([
      409,
      { detail: 'the wallet does not run' },
    ])
    expect(done).toEqual(['stop-broker'])
  } finally {
    await Promise.all([control.stop(), other.stop()])
  }
})
