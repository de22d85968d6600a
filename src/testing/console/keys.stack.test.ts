/** The console where requests need an API key, and where pages of others try to use it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openKeys, type TestKeys } from '../api-keys'
import { serveSite } from '../browser'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'

describe.skipIf(!browser)(browser ? 'the console with API keys' : withoutBrowser, () => {
  let stack: ConsoleStack
  let keys: TestKeys
  beforeAll(async () => {
    stack = await startConsoleStack({ changes: { balances: { auth: 'keys' }, wallet: { auth: 'keys' } } })
    keys = openKeys(stack.databases.balances)
  })
  afterAll(async () => {
    await closeBrowser()
    await keys[Symbol.asyncDispose]()
    await stack[Symbol.asyncDispose]()
  })
  const tokenOf = async (scopes: ('read' | 'admin')[]) =>
    (await keys.create({ scopes })).authorization.replace('Bearer ', '')

  test('it asks for a key, says why one is refused, and keeps it in memory only', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/health' })
    const { page } = opened
    const field = page.getByLabel('Key for balances')
    await field.fill('saldo_test_wrong')
    await page.getByRole('button', { name: 'Use this key' }).click()
    await page.getByText(/^The key was refused: /).waitFor()
    expect(await opened.axe()).toEqual([])

    const token = await tokenOf(['read', 'admin'])
    await field.fill(token)
    await page.getByRole('button', { name: 'Use this key' }).click()
    await page.getByText('There are none.').waitFor()
    // The wallet has keys of its own.
    await page.getByLabel('Key for wallet').waitFor()
    await page.getByRole('button', { name: 'Go on without it' }).click()
    await page.locator('#rebuild button').first().waitFor()

    const kept = () => page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie]))
    expect(await kept()).not.toContain(token)
    expect(page.url()).not.toContain(token)
    await page.reload()
    await page.getByLabel('Key for balances').waitFor()
    expect(opened.faults).toEqual([])
  })

  test('with a key that may only read, what it may not says so, and the rest works', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/health' })
    const { page } = opened
    await page.getByLabel('Key for balances').fill(await tokenOf(['read']))
    await page.getByRole('button', { name: 'Use this key' }).click()
    await page.locator('#dead-letters .failure').getByText(/admin/).first().waitFor()
    await page.getByText('There is no report yet.').waitFor()
    await page.getByRole('button', { name: 'Forget the keys' }).click()
    await page.getByLabel('Key for balances').waitFor()
  })

  test('a page of another site can neither frame it nor read it', async () => {
    const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>()
    const reports = serveSite(0, '', (report) => resolve(report as Record<string, unknown>))
    const script = `<!doctype html><title>other</title><body><script type="module">
      const frame = document.createElement('iframe')
      frame.src = '${stack.url}/'
      await new Promise((resolve) => {
        frame.onload = frame.onerror = resolve
        document.body.append(frame)
      })
      let framed = 'blank'
      try { framed = frame.contentDocument ? 'blank' : 'hidden' } catch { framed = 'hidden' }
      const read = await fetch('${stack.url}/console/settings').then(() => 'read', (error) => error.name)
      const acted = await fetch('${stack.url}/rebuild', { method: 'POST', body: '{}' })
        .then(() => 'read', (error) => error.name)
      await fetch('http://127.0.0.1:${reports.port}/report',
        { method: 'POST', mode: 'no-cors', body: JSON.stringify({ framed, read, acted }) })
    </script>`
    const site = serveSite(0, script, () => {})
    try {
      await using opened = await openConsole(`http://127.0.0.1:${site.port}`)
      const report = await promise
      expect(report).toMatchObject({ read: 'TypeError', acted: 'TypeError' })
      const frames = opened.page.frames().map((frame) => frame.url())
      expect(frames).not.toContain(`${stack.url}/`)
    } finally {
      await site.stop(true)
      await reports.stop(true)
    }
  })
})
