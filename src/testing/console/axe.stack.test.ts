/** Each view in both themes, both languages, and from a phone to a wide screen: no finding of axe. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { eva, frank } from '../../config/local'
import { eventually } from '../eventually'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'

const looks = [
  ['light', 'en-GB', 1280],
  ['dark', 'en-GB', 360],
  ['light', 'pt-BR', 360],
  ['dark', 'pt-BR', 1920],
] as const

describe.skipIf(!browser)(browser ? 'accessibility' : withoutBrowser, () => {
  let stack: ConsoleStack
  let transaction: string
  beforeAll(async () => {
    stack = await startConsoleStack()
    const payment = { account_id_from: eva, account_id_to: frank, amount: 1 }
    const { body, headers } = await stack.wallet.post('/transactions', payment)
    transaction = String(body.id)
    const token = { 'consistency-token': headers.get('consistency-token') ?? '', prefer: 'wait=10' }
    await eventually(async () =>
      expect((await stack.balances.get(`/balances/${eva}`, token)).status).toBe(200),
    )
  })
  afterAll(async () => {
    await closeBrowser()
    await stack[Symbol.asyncDispose]()
  })
  const views = () => [
    '#/flow',
    '#/flow?account=no-such-account',
    '#/transactions',
    `#/transactions/${transaction}`,
    '#/transactions/unknown',
    '#/accounts',
    `#/accounts/${eva}`,
    '#/accounts/unknown',
    '#/health',
    '#/try',
  ]

  test.each(looks)('%s, %s, %d px', async (colorScheme, locale, width) => {
    const viewport = { width, height: 800 }
    for (const hash of views()) {
      await using opened = await openConsole(stack.url, { hash, colorScheme, locale, viewport })
      await opened.page.locator('main h1').waitFor()
      // What is loaded, and the state that it leads to: there is no one sign of it for all views.
      await opened.page.waitForTimeout(700)
      expect([hash, await opened.axe()]).toEqual([hash, []])
      expect([hash, opened.faults]).toEqual([hash, []])
      const wide = await opened.page.evaluate(() => document.documentElement.scrollWidth)
      expect([hash, wide]).toEqual([hash, Math.min(wide, width)])
    }
  })
})
