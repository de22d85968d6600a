/** What pages of other sites can do to the services, from a browser that runs on the same machine. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startBalances } from '../balances/service'
import { freePort } from '../platform/process/ports'
import { startWallet } from '../wallet/service'
import { log } from './backing'
import { browser, openPage, serveSite } from './browser'
import { type Stack, startStack } from './stack'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
const transfer = JSON.stringify({ account_id_from: eva, account_id_to: frank, amount: 1 })

let stack: Stack

/** What each attempt of the script came to, by its name. */
type Report = Record<string, string>

const pageOf = (script: string) => `<!doctype html><title>a page</title><body><script type="module">
  const report = {}
  const attempt = async (name, act) => {
    report[name] = await act().then((value) => String(value), (error) => error.name)
  }
  const loaded = (tag, source) => new Promise((resolve) => {
    const element = Object.assign(document.createElement(tag), { src: source })
    element.onload = () => resolve('loaded')
    element.onerror = () => resolve('refused')
    document.body.append(element)
  })
  const firstEvent = (source) => new Promise((resolve) => {
    const events = new EventSource(source)
    const end = (what) => { events.close(); resolve(what) }
    events.onopen = () => end('open')
    events.onerror = () => end('refused')
  })
  ${script}
</script>`

type Visit = {
  host?: string
  port?: number
  /** Once the page is there, this listens on its port. */
  replaceBy?: () => Promise<unknown>
}

/** Opens a page of a site in the browser, and resolves with what it reports. */
async function visit(script: string, { host = 'evil.example', port = 0, replaceBy }: Visit = {}) {
  const { promise, resolve } = Promise.withResolvers<Report>()
  const reports = serveSite(0, '', (report) => resolve(report as Report))
  const opened = Promise.withResolvers<void>()
  const end = `await fetch('http://127.0.0.1:${reports.port}/report',
    { method: 'POST', mode: 'no-cors', body: JSON.stringify(report) })`
  const site = serveSite(port, pageOf(`${script}\n${end}`), () => opened.resolve())
  try {
    await using _page = openPage(`http://${host}:${site.port}/`, [host])
    if (replaceBy) {
      await opened.promise
      await site.stop(true)
      await replaceBy()
    }
    return await promise
  } finally {
    await Promise.all([site.stop(true), reports.stop(true)])
  }
}

const versionOf = async (account: string) => (await stack.wallet.get(`/accounts/${account}`)).body.version

const title = browser ? `in ${browser}` : 'skipped: there is no Chromium here, and CHROMIUM names none'
describe.skipIf(browser === null)(title, () => {
  beforeAll(async () => {
    stack = await startStack()
  })
  afterAll(() => stack[Symbol.asyncDispose]())

  test('a page of another site moves no money and reads nothing', async () => {
    const [wallet, balances] = [stack.wallet, stack.balances].map(({ port }) => `http://localhost:${port}`)
    const before = await versionOf(eva)
    const report = await visit(
      `
      const [wallet, balances, body] = ${JSON.stringify([wallet, balances, transfer])}
      const post = (options) => async () =>
        (await fetch(wallet + '/transactions', { method: 'POST', body, ...options })).type
      await attempt('json', post({ headers: { 'content-type': 'application/json' } }))
      await attempt('simple', post({ mode: 'no-cors', headers: { 'content-type': 'text/plain' } }))
      await attempt('credentials', post({ mode: 'no-cors', credentials: 'include' }))
      await attempt('beacon', async () => navigator.sendBeacon(wallet + '/transactions', body))
      await attempt('form', () => new Promise((resolve) => {
        const frame = Object.assign(document.createElement('iframe'), { name: 'target' })
        const form = document.createElement('form')
        const action = wallet + '/transactions'
        Object.assign(form, { method: 'post', action, enctype: 'text/plain', target: 'target' })
        const [name, value] = body.split(/(?<=:)(?=1)/)
        form.append(Object.assign(document.createElement('input'), { name, value }))
        document.body.append(frame, form)
        frame.onload = () => resolve('sent')
        form.submit()
      }))
      await attempt('read', async () => (await fetch(balances + '/balances/${eva}')).status)
      await attempt('script', () => loaded('script', balances + '/balances/${eva}'))
      await attempt('image', () => loaded('img', balances + '/balances/${eva}'))
      await attempt('stream', () => firstEvent(balances + '/balances/${eva}/stream'))
      await attempt('frame', async () => {
        const frame = Object.assign(document.createElement('iframe'), { src: balances + '/openapi' })
        const done = new Promise((resolve) => { frame.onload = resolve })
        document.body.append(frame)
        await done
        // Its own document would be readable: that of an error is of another origin as well.
        return frame.contentDocument === null ? 'not readable' : 'readable'
      })`,
    )
    expect(report).toEqual({
      json: 'TypeError',
      simple: 'TypeError',
      credentials: 'TypeError',
      beacon: 'true',
      form: 'sent',
      read: 'TypeError',
      script: 'refused',
      image: 'refused',
      stream: 'refused',
      frame: 'not readable',
    })
    expect(await versionOf(eva)).toBe(before)
  })

  test.each(['wallet', 'balances'] as const)(
    'a site that points its own name at %s can neither write nor read',
    async (service) => {
      const port = freePort()
      const config = { ...stack.config[service], port }
      const start = service === 'wallet' ? startWallet : startBalances
      const path = service === 'wallet' ? '/transactions' : '/dead-letters/redrive'
      const read = service === 'wallet' ? `/accounts/${eva}` : `/balances/${eva}`
      let running: Awaited<ReturnType<typeof start>> | undefined
      const before = await versionOf(eva)
      try {
        const report = await visit(
          `
          await fetch('/report', { method: 'POST', body: '{}' }).catch(() => null)
          const isService = async () => {
            const answer = await fetch('/readyz').catch(() => null)
            return answer?.ok && answer.headers.get('content-type') === 'application/health+json'
          }
          while (!(await isService())) await new Promise((resolve) => setTimeout(resolve, 50))
          await attempt('write', async () => (await fetch('${path}', {
            method: 'POST', headers: { 'content-type': 'application/json' }, body: '${transfer}' })).status)
          await attempt('read', async () => (await fetch('${read}')).status)`,
          {
            port,
            async replaceBy() {
              running = await start(config, log)
            },
          },
        )
        expect(report).toEqual({ write: '403', read: '403' })
        expect(await versionOf(eva)).toBe(before)
      } finally {
        await running?.stop()
      }
    },
  )

  test('a page of an origin in CORS_ORIGINS pays, reads and follows a stream', async () => {
    const [host, port] = ['shop.example', freePort()]
    const corsOrigins = [`http://${host}:${port}`]
    const wallet = await startWallet({ ...stack.config.wallet, corsOrigins }, log)
    const balances = await startBalances({ ...stack.config.balances, corsOrigins }, log)
    try {
      const report = await visit(
        `
        const [wallet, balances] = ['http://localhost:${wallet.port}', 'http://localhost:${balances.port}']
        const headers = { 'content-type': 'application/json', 'idempotency-key': '"one"' }
        const paid = await fetch(wallet + '/transactions', { method: 'POST', headers, body: '${transfer}' })
        await attempt('pay', async () => paid.status)
        const token = paid.headers.get('consistency-token')
        await attempt('read', async () => (await fetch(balances + '/balances/${eva}', {
          headers: { 'consistency-token': token, prefer: 'wait=30' } })).status)
        await attempt('stream', () => firstEvent(balances + '/balances/${eva}/stream'))`,
        { host, port },
      )
      expect(report).toEqual({ pay: '201', read: '200', stream: 'open' })
    } finally {
      await Promise.all([wallet.stop(), balances.stop()])
    }
  })
})
