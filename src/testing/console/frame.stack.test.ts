/** The frame of the console: navigation, language, theme, policy. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'

const views = ['flow', 'transactions', 'accounts', 'health', 'try']

describe.skipIf(!browser)(browser ? 'the console' : withoutBrowser, () => {
  let stack: ConsoleStack
  beforeAll(async () => {
    stack = await startConsoleStack()
  })
  afterAll(async () => {
    await closeBrowser()
    await stack[Symbol.asyncDispose]()
  })

  test('each view opens from the navigation, without a fault', async () => {
    await using opened = await openConsole(stack.url)
    const { page, faults } = opened
    for (const view of views) {
      await page.click(`nav a[href="#/${view}"]`)
      await page.waitForSelector(`nav a[href="#/${view}"][aria-current="page"]`)
      await page.waitForSelector('main h1')
    }
    await page.goto(`${stack.url}/#/nowhere`)
    await page.getByText('There is no such view').waitFor()
    await page.goBack()
    await page.waitForSelector('main h1')
    expect(faults).toEqual([])
  })

  test.each([
    ['en-US', 'Flow', 'en-GB'],
    ['pt-PT', 'Fluxo', 'pt-BR'],
    ['de-DE', 'Flow', 'en-GB'],
  ])('a browser in %s sees %s', async (locale, title, written) => {
    await using opened = await openConsole(stack.url, { locale })
    await opened.page.locator('nav a', { hasText: title }).first().waitFor()
    expect(await opened.page.getAttribute('html', 'lang')).toBe(written)
  })

  test('language and theme can be chosen, and are remembered', async () => {
    await using opened = await openConsole(stack.url)
    const { page } = opened
    await page.selectOption('select[aria-label="Language"]', 'pt')
    await page.selectOption('select[aria-label="Tema"]', 'dark')
    await page.reload()
    await page.locator('nav a', { hasText: 'Contas' }).waitFor()
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    expect(background).toBe('rgb(23, 25, 27)')
  })

  test('the page may be neither framed nor given a script or style of another origin', async () => {
    const answer = await fetch(stack.url, { headers: { accept: 'text/html' } })
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(answer.headers.get('x-frame-options')).toBe('DENY')
    const html = await answer.text()
    // What is painted before the script has run.
    expect(html).toContain('<header class="top">')
    expect(html).not.toMatch(/<style|<script(?! type="module" src="\/console\/)|\son\w+=| style=/)
  })

  test('its files are compressed, at most 150 kB together, and revalidated', async () => {
    let bytes = 0
    for (const name of ['main.js', 'main.css']) {
      const url = `${stack.url}/console/assets/${name}`
      const answer = await fetch(url, {
        headers: { 'accept-encoding': 'gzip' },
        decompress: false,
      } as RequestInit)
      expect(answer.headers.get('content-encoding')).toBe('gzip')
      bytes += (await answer.arrayBuffer()).byteLength
      const etag = answer.headers.get('etag') ?? ''
      expect((await fetch(url, { headers: { 'if-none-match': etag } })).status).toBe(304)
    }
    expect(bytes).toBeLessThan(150_000)
  })
})
