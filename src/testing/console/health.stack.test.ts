/** The health view: failures first, dead letters redriven, the read model rebuilt. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connectKafka } from '../../platform/kafka/client'
import { log } from '../backing'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'

describe.skipIf(!browser)(browser ? 'the health view' : withoutBrowser, () => {
  let stack: ConsoleStack
  beforeAll(async () => {
    stack = await startConsoleStack()
  })
  afterAll(async () => {
    await closeBrowser()
    await stack[Symbol.asyncDispose]()
  })

  test.each([
    ['light', 1280, 'en-GB'],
    ['dark', 360, 'pt-BR'],
  ] as const)('nothing is wrong with it: %s, %d px, %s', async (colorScheme, width, locale) => {
    const viewport = { width, height: 800 }
    await using opened = await openConsole(stack.url, { hash: '#/health', colorScheme, viewport, locale })
    await opened.page.locator('.all-well').waitFor()
    await opened.page.locator('#rebuild button').first().waitFor()
    await opened.page.locator('td', { hasText: 'api_keys' }).first().waitFor()
    expect(await opened.axe()).toEqual([])
    expect(opened.faults).toEqual([])
    // Nothing is wider than the window.
    expect(await opened.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width)
  })

  test('a record that cannot be read is shown with its cause, tried dry, and redriven', async () => {
    const kafka = connectKafka(stack.config.balances.kafka, log)
    const publisher = kafka.publisher()
    const topic = `${stack.config.balances.kafka.topicPrefix}balances`
    await publisher.send([{ topic, key: 'k', value: '<img src=x onerror=alert(1)>', headers: {} }])
    await publisher.close()
    await kafka.close()

    await using opened = await openConsole(stack.url, { hash: '#/health' })
    const { page } = opened
    const letters = page.locator('#dead-letters')
    await letters.getByRole('button', { name: 'Example: Show' }).click()
    await letters.getByText('<img src=x onerror=alert(1)>').waitFor()
    expect(await page.locator('#dead-letters img').count()).toBe(0)
    await letters.getByRole('button', { name: 'Dry run' }).click()
    await letters.getByText('A redrive would come to: 1 still failing').waitFor()
    await letters.getByRole('button', { name: 'Redrive', exact: true }).click()
    await letters.getByText('The redrive came to: 1 still failing').waitFor()
    expect(opened.faults).toEqual([])
  })

  test('over plain HTTP from another machine, where browsers withhold more, it works', async () => {
    await using opened = await openConsole(stack.url)
    const { page } = opened
    await page.addInitScript(() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined })
      Object.defineProperty(crypto, 'randomUUID', { value: undefined })
    })
    await page.goto(`${stack.url}/#/health`)
    await page.reload()
    await page.getByRole('button', { name: 'Dry run' }).click()
    await page.getByText('A redrive would come to: 1 still failing').waitFor()
    await page.getByRole('button', { name: 'Select' }).click()
    expect(await page.evaluate(() => String(getSelection()))).toBe('npm run reconcile -- --store')
    expect(opened.faults).toEqual([])
  })

  test('a rebuild is started and watched to its end', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/health' })
    const panel = opened.page.locator('#rebuild')
    await panel.getByRole('button', { name: 'Start a rebuild' }).click()
    await panel.locator('strong', { hasText: 'swapped' }).waitFor({ timeout: 60_000 })
    await panel.getByText('No difference from the live tables.').waitFor()
    await panel.getByRole('button', { name: 'Roll back' }).click()
    await panel.locator('strong', { hasText: 'rolled_back' }).waitFor()
    expect(opened.faults).toEqual([])
  })
})

describe.skipIf(!browser)(browser ? 'the health view, without the wallet' : withoutBrowser, () => {
  afterAll(closeBrowser)

  test('says first that the wallet gives no answer, and what to do', async () => {
    await using stack = await startConsoleStack({ start: ['balances'] })
    await using opened = await openConsole(stack.url, { hash: '#/health' })
    const fault = opened.page.locator('.faults li').first()
    await fault.getByText('The wallet gives no answer').waitFor()
    expect(await fault.locator('a').getAttribute('href')).toMatch(/^\/docs\/runbooks#/)
    expect(await opened.axe()).toEqual([])
  })
})
