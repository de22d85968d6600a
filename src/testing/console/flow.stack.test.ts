/** The view of the live flow, in a real browser over real services. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { connectKafka } from '../../platform/kafka/client'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../eventually'
import { type Stack, spawnService } from '../stack'
import { eva, frank } from '../wallets'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'

const ownerOfEva = 'd6a3bc81-bbd0-11ee-8a24-0242ac120003'
const log = createLog({ service: 'test', level: 'fatal', format: 'json' })

async function transfer({ wallet }: Pick<Stack, 'wallet'>, amount = 1.25): Promise<string> {
  const body = { account_id_from: eva, account_id_to: frank, amount }
  const answer = await wallet.post('/transactions', body)
  expect(answer.status).toBe(201)
  return String(answer.body.id)
}

async function sendPoison({ config }: Stack, value: string): Promise<void> {
  const { kafka: settings } = config.balances
  const kafka = connectKafka(settings, log)
  const publisher = kafka.publisher()
  await publisher.send([{ topic: `${settings.topicPrefix}balances`, key: null, value, headers: {} }])
  await publisher.close()
  await kafka.close()
}

const laneOf = (page: Page, transactionId: string) =>
  page.locator('.lane', { has: page.locator(`a[href="#/transactions/${transactionId}"]`) })

const isLive = (page: Page) => page.getByText('live', { exact: true }).waitFor()
const hashOf = (page: Page) => new URL(page.url()).hash

describe.skipIf(!browser)(browser ? 'the flow' : withoutBrowser, () => {
  let stack: ConsoleStack
  beforeAll(async () => {
    stack = await startConsoleStack()
  })
  afterAll(async () => {
    await closeBrowser()
    await stack[Symbol.asyncDispose]()
  })

  test('a transfer appears with the time of each hop, is explained, and leads on', async () => {
    await using opened = await openConsole(stack.url)
    const { page, faults } = opened
    await isLive(page)
    const id = await transfer(stack)
    const lane = laneOf(page, id)
    await lane.waitFor()
    expect(await lane.locator('.lane-link').textContent()).toBe('BRL\u00a01.25 from d6a41403… to d6a41504…')
    expect(await lane.locator('.badge').textContent()).toBe('applied')
    const times = await lane.locator('.step-time').allTextContents()
    expect(times).toHaveLength(7)
    expect(times[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/)
    // On a busy machine a wait may be cut, which its text says.
    for (const time of times.slice(1)) expect(time).toMatch(/^[+−][\d.]+ m?s( |$)/)
    expect(await lane.locator('.segment').count()).toBe(6)
    const { body } = await stack.wallet.get(`/transactions/${id}/delivery`)
    const events = body.events as { name: string; topic: string; partition: number; offset: number }[]
    const event = events.find(({ name }) => name === 'BalanceUpdated')
    expect(await lane.locator('.step-place').textContent()).toBe(
      `${event?.topic}/${event?.partition}/${event?.offset}`,
    )

    expect(await page.locator('.explanation').count()).toBe(0)
    await lane.getByRole('button', { name: 'Explain this lane' }).click()
    await lane.getByRole('link', { name: 'Transactional outbox' }).waitFor()
    const links = lane.locator('.explanation a')
    expect(await links.count()).toBe(7)
    expect(await opened.axe()).toEqual([])
    await links.nth(5).click()
    await page.waitForURL('**/docs/concepts#idempotent-consumer')
    await page.goBack()

    await laneOf(page, id).click({ position: { x: 5, y: 5 } })
    expect(hashOf(page)).toBe(`#/transactions/${id}`)
    await page.goBack()
    await laneOf(page, id).locator('.lane-link').focus()
    await page.keyboard.press('Enter')
    expect(hashOf(page)).toBe(`#/transactions/${id}`)
    expect(faults).toEqual([])
  })

  test('an account that was opened is a lane that leads to the account', async () => {
    await using opened = await openConsole(stack.url)
    const { page } = opened
    await isLive(page)
    const { body } = await stack.wallet.post('/accounts', { client_id: ownerOfEva })
    const lane = page.locator('.lane', { has: page.locator(`a[href="#/accounts/${body.id}"]`) })
    await lane.getByText('AccountOpened').waitFor()
    expect(await lane.getByText('request', { exact: true }).count()).toBe(1)
  })

  test('the list is held under the pointer, with the focus in it and by its button', async () => {
    await transfer(stack)
    await using opened = await openConsole(stack.url)
    const { page } = opened
    await page.locator('.lane').first().waitFor()
    const hrefs = () =>
      page.locator('.lane-link').evaluateAll((links) => links.map((link) => link.getAttribute('href')))
    const hold = { hover: 'Paused while you are in the list.', button: 'Paused. The list stays as it is.' }

    await page.locator('.lane').first().hover()
    await page.getByText(hold.hover).waitFor()
    const before = await hrefs()
    const [one, two] = [await transfer(stack), await transfer(stack)]
    await page.getByText('2 new', { exact: true }).waitFor()
    expect(await hrefs()).toEqual(before)
    await page.mouse.move(5, 5)
    await page.getByText('Following').waitFor()
    await laneOf(page, two).waitFor()
    expect(await hrefs()).toEqual([two, one].map((id) => `#/transactions/${id}`).concat(before as string[]))

    await page.locator('.lane-link').first().focus()
    await page.getByText(hold.hover).waitFor()
    await page.keyboard.press('Shift+Tab')
    await page.getByText('Following').waitFor()
    await page.keyboard.press('Space')
    await page.getByText(hold.button).waitFor()
    const three = await transfer(stack)
    await page.getByText('1 new', { exact: true }).waitFor()
    expect(await laneOf(page, three).count()).toBe(0)
    await page.getByRole('button', { name: 'Show them' }).click()
    await laneOf(page, three).waitFor()
    await page.getByText(hold.button).waitFor()
    await page.getByRole('button', { name: 'Resume' }).click()
    await laneOf(page, await transfer(stack)).waitFor()
  })

  test('the filter is in the address, and what is shown is text', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/flow?only=failures' })
    const { page, faults } = opened
    await page.getByText('There is no dead letter among what has passed').waitFor()
    expect(await page.getByLabel('Only dead letters').isChecked()).toBe(true)
    const markup = '<img src=x onerror="document.title=1">'
    await sendPoison(stack, JSON.stringify({ Name: markup, Payload: {} }))
    const letter = page.locator('.lane.dead_letter')
    await letter.waitFor()
    expect(await letter.textContent()).toContain(markup)
    expect(await letter.locator('img').count()).toBe(0)
    await page.getByText('One dead letter: a record that could not be applied').waitFor()
    expect(await letter.locator('.lane-link').getAttribute('href')).toBe('#/health')
    expect(await opened.axe()).toEqual([])

    const id = await transfer(stack)
    await page.getByLabel('Only dead letters').uncheck()
    await laneOf(page, id).waitFor()
    expect(hashOf(page)).toBe('#/flow')
    await page.getByLabel('Only this account').fill(frank)
    await page.keyboard.press('Enter')
    await eventually(() => expect(hashOf(page)).toBe(`#/flow?account=${frank}`))
    await laneOf(page, id).waitFor()
    await eventually(async () => expect(await letter.count()).toBe(0))
    await page.reload()
    await laneOf(page, id).waitFor()
    expect(await page.getByLabel('Only this account').inputValue()).toBe(frank)
    await page.goto(`${stack.url}/#/flow?account=unknown`)
    await page.getByText('Nothing passes this filter yet').waitFor()
    await page.getByRole('link', { name: 'Show all' }).click()
    await laneOf(page, id).waitFor()
    expect(faults).toEqual([])
  })

  test('1,000 transfers a second are sampled, counted, and do not block the page', async () => {
    await using opened = await openConsole(stack.url)
    const { page, faults } = opened
    await isLive(page)
    // How late a timer of the page is at most.
    await page.evaluate(() => {
      const state = window as unknown as { lateMs: number }
      state.lateMs = 0
      let lastMs = performance.now()
      setInterval(() => {
        const nowMs = performance.now()
        state.lateMs = Math.max(state.lateMs, nowMs - lastMs - 50)
        lastMs = nowMs
      }, 50)
    })
    const transactions = Array.from({ length: 100 }, () => ({
      ...{ account_id_from: eva, account_id_to: frank, amount: 0.01 },
    }))
    const seen: string[] = []
    let isSending = true
    const watching = (async () => {
      while (isSending || !seen.some((text) => text.includes(' of '))) {
        seen.push((await page.locator('.rate').textContent({ timeout: 10_000 })) ?? '')
        await Bun.sleep(100)
      }
    })()
    for (let second = 0; second < 3; second++)
      await Promise.all([
        Bun.sleep(1000),
        ...Array.from({ length: 10 }, () => stack.wallet.post('/transactions/batch', { transactions })),
      ])
    isSending = false
    await watching
    expect(seen.join('\n')).toMatch(/^\d+ of [\d,]+ a second are shown$/m)
    expect(await page.locator('.lane').count()).toBeLessThanOrEqual(100)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('Paused. The list stays as it is.').waitFor()
    const lateMs = await page.evaluate(() => (window as unknown as { lateMs: number }).lateMs)
    // For a busy machine: alone it is a tenth of that.
    expect(lateMs).toBeLessThan(3000)
    expect(faults).toEqual([])
  })

  test.each([
    { name: 'dark, in Portuguese', locale: 'pt-BR', colorScheme: 'dark', title: 'Fluxo' },
    { name: 'on a phone', viewport: { width: 360, height: 740 }, title: 'Flow' },
  ] as const)('it can be read $name', async ({ title, name: _, ...options }) => {
    await transfer(stack)
    await using opened = await openConsole(stack.url, options)
    const { page } = opened
    await page.getByRole('heading', { name: title }).waitFor()
    await page.locator('.lane').first().waitFor()
    await page.locator('.flow-how summary').click()
    await page.locator('.lane-explain').first().click()
    await page.locator('.explanation').waitFor()
    expect(await opened.axe()).toEqual([])
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    )
    expect(overflow).toBe(0)
  })
})

describe.skipIf(!browser)(browser ? 'the flow without and after a stop' : withoutBrowser, () => {
  afterAll(closeBrowser)

  test('without any transfer it says how to make one', async () => {
    await using stack = await startConsoleStack({ seed: false })
    await using opened = await openConsole(stack.url)
    const { page } = opened
    await page.getByText('No transfer has passed yet').waitFor()
    expect(await page.locator('.empty a').getAttribute('href')).toBe('#/try')
    const { walletPublicUrl } = stack.config.balances
    expect(await page.locator('.empty code').textContent()).toStartWith(
      `curl ${walletPublicUrl}/transactions `,
    )
    expect(await opened.axe()).toEqual([])
  })

  test('it goes on by itself when balances was killed and is back, and no lane is there twice', async () => {
    await using stack = await startConsoleStack({ start: ['wallet'] })
    const { port } = stack.config.balances
    let balances = await spawnService(stack.config.balances, port)
    try {
      await using opened = await openConsole(stack.url)
      const { page } = opened
      await isLive(page)
      const ids = [await transfer(stack)]
      await laneOf(page, ids[0] as string).waitFor()
      await balances.kill()
      await page.getByText('reconnecting …').waitFor()
      ids.push(await transfer(stack))
      balances = await spawnService(stack.config.balances, port)
      await isLive(page)
      ids.push(await transfer(stack))
      for (const id of ids) {
        await laneOf(page, id).waitFor()
        expect(await laneOf(page, id).count()).toBe(1)
      }
    } finally {
      await balances.kill()
    }
  })
})
