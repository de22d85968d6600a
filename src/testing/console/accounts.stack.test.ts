/** The accounts: found, followed live, at a time, explained, in both languages. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { connectKafka } from '../../platform/kafka/client'
import { openKeys } from '../api-keys'
import { log } from '../backing'
import { eventually } from '../eventually'
import { eva, frank } from '../wallets'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'

const evil = '<img src=x onerror="document.title=1"><script>alert(1)</script>'

/** Spaces of currencies are no-break spaces. */
const textOf = async (page: Page, selector: string) =>
  ((await page.locator(selector).first().textContent()) ?? '').replace(/[\u00a0\u202f]/g, ' ')

describe.skipIf(!browser)(browser ? 'the accounts' : withoutBrowser, () => {
  let stack: ConsoleStack
  beforeAll(async () => {
    stack = await startConsoleStack()
    // Names of owners come from the wallet.
    await eventually(async () => {
      const { data } = (await stack.balances.get('/balances?owner_name=eva')).body as { data: object[] }
      expect(data).toHaveLength(1)
    })
  })
  afterAll(async () => {
    await closeBrowser()
    await stack[Symbol.asyncDispose]()
  })

  const account = `#/accounts/${eva}`
  const atNewYear = `${account}?at=2020-02-01T00%3A00%3A00.000Z`

  const transfer = (amount: string, from = eva, to = frank) =>
    stack.wallet.post('/transactions', { account_id_from: from, account_id_to: to, amount })

  /** Records as the course's services write them, about accounts that were never opened. */
  async function sendCourseRecords(accountIds: readonly string[]): Promise<void> {
    const kafka = connectKafka(stack.config.balances.kafka, log)
    const publisher = kafka.publisher()
    const topic = `${stack.config.balances.kafka.topicPrefix}balances`
    const records = accountIds.map((id, index) => {
      const Payload = {
        ...{ account_id_from: id, balance_account_id_from: index },
        ...{ account_id_to: `${id} too`, balance_account_id_to: 1 },
      }
      return { topic, key: id, value: JSON.stringify({ Name: 'BalanceUpdated', Payload }), headers: {} }
    })
    await publisher.send(records)
    await publisher.close()
    await kafka.close()
  }

  test.each([
    ['light', 1280, 'en-GB'],
    ['dark', 360, 'pt-BR'],
    ['dark', 1920, 'en-GB'],
    ['light', 360, 'pt-BR'],
  ] as const)('nothing is wrong with them: %s, %d px, %s', async (colorScheme, width, locale) => {
    const viewport = { width, height: 800 }
    for (const hash of ['#/accounts', atNewYear]) {
      await using opened = await openConsole(stack.url, { hash, colorScheme, viewport, locale })
      await opened.page.locator('main table tbody tr').first().waitFor()
      if (hash !== '#/accounts') await opened.page.locator('#explain .good-text').waitFor()
      expect(await opened.axe()).toEqual([])
      expect(opened.faults).toEqual([])
      const widest = await opened.page.evaluate(() => document.documentElement.scrollWidth)
      expect(widest).toBeLessThanOrEqual(width)
    }
  })

  test('an account is found by the beginning of its owner, by currency and by id', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/accounts' })
    const { page } = opened
    await page.getByLabel("Owner's name begins with").fill('eV')
    await page.getByLabel('Currency').fill('brl')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/#/accounts?owner=eV&currency=BRL')
    await eventually(async () => expect(await page.locator('main tbody tr').count()).toBe(1))
    expect(await textOf(page, 'main tbody tr')).toContain('Eva')
    await page.getByRole('link', { name: 'd6a41403' }).click()
    await page.getByRole('heading', { name: 'Account of Eva' }).waitFor()
    await page.goBack()
    expect(await page.getByLabel("Owner's name begins with").inputValue()).toBe('eV')
    await page.getByRole('link', { name: 'Clear the search' }).click()
    await eventually(async () => expect(await page.locator('main tbody tr').count()).toBeGreaterThan(9))
    await page.getByLabel('Account id').fill(frank)
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByRole('heading', { name: 'Account of Frank' }).waitFor()
    expect(opened.faults).toEqual([])
  })

  test('what matches nothing, or is no currency, says what to do', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/accounts?owner=there+is+none' })
    await opened.page.getByText('No account matches.').waitFor()
    await opened.page.getByText('The name has to begin as typed').waitFor()
    await opened.page.goto(`${stack.url}/#/accounts?currency=XYZ`)
    await opened.page.getByRole('alert').getByText('"XYZ" is not an ISO 4217 currency').waitFor()
    expect(await opened.axe()).toEqual([])
  })

  test('lists come in pages, whose addresses can be shared', async () => {
    await sendCourseRecords(Array.from({ length: 15 }, (_, index) => `page ${index}`))
    await eventually(async () =>
      expect((await stack.balances.get('/balances/page%2014%20too')).status).toBe(200),
    )
    await using opened = await openConsole(stack.url, { hash: '#/accounts' })
    const { page } = opened
    await page.getByRole('link', { name: 'Next page' }).click()
    await page.getByRole('link', { name: 'First page' }).waitFor()
    const second = await page.locator('main tbody tr').allInnerTexts()
    await using shared = await openConsole(stack.url, { hash: new URL(page.url()).hash })
    await shared.page.getByRole('link', { name: 'First page' }).waitFor()
    expect(await shared.page.locator('main tbody tr').allInnerTexts()).toEqual(second)
    await page.getByRole('link', { name: 'First page' }).click()
    await page.getByRole('link', { name: 'Next page' }).waitFor()
    await eventually(async () => expect(await page.locator('main tbody tr').count()).toBe(20))
    expect(second.length).toBeGreaterThan(10)
  })

  test('an account changes as money moves: balance, statement, history, sum', async () => {
    await using opened = await openConsole(stack.url, { hash: account })
    const { page } = opened
    await page.locator('.good-text', { hasText: 'live' }).waitFor()
    const before = await textOf(page, '.amount-now .money')
    await page.locator('#statement tbody tr').first().waitFor()
    const entries = await page.locator('#statement tbody tr').count()
    const { body } = await transfer('1.25')
    await eventually(async () => expect(await textOf(page, '.amount-now .money')).not.toBe(before))
    await eventually(async () => expect(await page.locator('#statement tbody tr').count()).toBe(entries + 1))
    expect(await textOf(page, '#statement tbody tr')).toContain('-BRL 1.25')
    await eventually(async () => expect(await textOf(page, '#explain tbody tr')).toContain('-BRL 1.25'))
    await page.locator('#explain').getByText('These entries add up.').waitFor()
    expect(await textOf(page, '#explain pre')).toMatch(/^0 \+ 1000 − 100 − 50 − 50 .*− 1\.25 = [\d.]+$/)
    // A reader of the table gets what the plot shows.
    await page.getByText('The same as a table').click()
    await eventually(async () =>
      expect(await page.locator('.history-table tbody tr').count()).toBe(entries + 1),
    )
    const link = page.locator('#statement tbody a', { hasText: String(body.id).slice(0, 8) }).first()
    expect(await link.getAttribute('href')).toBe(`#/transactions/${body.id}`)
    expect(opened.faults).toEqual([])
  })

  test('the slider and the date lead to what the account held then', async () => {
    await using opened = await openConsole(stack.url, { hash: account, timezoneId: 'UTC' })
    const { page } = opened
    const slider = page.getByRole('slider', { name: 'Time' })
    await slider.waitFor()
    await slider.fill('300')
    await page.waitForURL(/at=2022-/)
    await page.locator('.then .money', { hasText: '900.00' }).first().waitFor()
    await page.locator('.then').getByText('Nothing of that time can still arrive.').waitFor()
    await page.locator('#explain pre', { hasText: '0 + 1000 − 100 = 900' }).waitFor()
    expect(await slider.getAttribute('aria-valuetext')).toContain('2022')
    // By the keyboard alone.
    await slider.focus()
    await page.keyboard.press('Home')
    await page.locator('.then .money', { hasText: '1,000.00' }).first().waitFor()
    await page.getByLabel('Date and time').fill('2019-12-31T00:00:00')
    await page.getByLabel('Date and time').blur()
    await page.waitForURL(/at=2019-12-31T00%3A00%3A00.000Z/)
    await page.locator('.then .money', { hasText: 'BRL 0.00' }).first().waitFor()
    await page.getByLabel('Which time counts').selectOption('effective')
    await page.waitForURL(/time=effective/)
    await page.getByRole('button', { name: 'Back to now' }).click()
    await page.waitForURL(new RegExp(`#/accounts/${eva}$`))
    expect(await page.locator('.then').count()).toBe(0)
    expect(opened.faults).toEqual([])
  })

  test('in Portuguese, texts, numbers and dates are Portuguese', async () => {
    await using opened = await openConsole(stack.url, { hash: atNewYear, locale: 'pt-BR', timezoneId: 'UTC' })
    const { page } = opened
    await page.getByRole('heading', { name: 'Conta de Eva' }).waitFor()
    await page.locator('.then .money').first().waitFor()
    expect(await textOf(page, '.then .money')).toBe('BRL 900,00')
    expect(await textOf(page, '.then')).toContain('1 de fev. de 2020')
    await page.locator('#explain').getByText('Estes lançamentos somam.').waitFor()
  })

  test('an account that is not known says so, and appears when it is', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/accounts/late%20one' })
    await opened.page.getByText('Account late one is not known here').waitFor()
    expect(await opened.axe()).toEqual([])
    await sendCourseRecords(['late one'])
    await opened.page.locator('.amount-now').first().waitFor()
    expect(await opened.page.getByText('is not known here').count()).toBe(0)
  })

  test('names and ids are shown as text, also those that would be HTML', async () => {
    const client = await stack.wallet.post('/clients', { name: evil, email: 'evil@example.com' })
    const opened = await stack.wallet.post('/accounts', { client_id: client.body.id })
    await sendCourseRecords([evil])
    await eventually(async () => {
      const search = `owner_name=${encodeURIComponent(evil.slice(0, 10))}`
      expect((await stack.balances.get(`/balances?${search}`)).body.data).toHaveLength(1)
    })
    await using named = await openConsole(stack.url, { hash: `#/accounts/${opened.body.id}` })
    await named.page.getByRole('heading', { name: evil }).waitFor()
    await using listed = await openConsole(stack.url, {
      hash: `#/accounts?owner=${encodeURIComponent(evil.slice(0, 10))}`,
    })
    await listed.page.locator('td', { hasText: '<img src=x' }).first().waitFor()
    await using byId = await openConsole(stack.url, { hash: `#/accounts/${encodeURIComponent(evil)}` })
    await byId.page.locator('.amount-now').first().waitFor()
    for (const { page, faults } of [named, listed, byId]) {
      expect(await page.locator('main img, main script').count()).toBe(0)
      expect(await page.title()).toBe('Saldo console')
      expect(faults).toEqual([])
    }
  })
})

describe.skipIf(!browser)(browser ? 'the accounts, with a restricted key' : withoutBrowser, () => {
  afterAll(closeBrowser)

  test('are refused as a list, with the reason, and shown one by one', async () => {
    await using stack = await startConsoleStack({ start: ['balances'] })
    await using keys = openKeys(stack.databases.balances)
    const { authorization } = await keys.create({ accountIds: [eva] })
    await eventually(async () => expect((await stack.balances.get('/balances')).status).toBe(401))
    await using opened = await openConsole(stack.url, { hash: '#/accounts' })
    const { page } = opened
    await page.getByLabel('Key for balances').fill(authorization.replace('Bearer ', ''))
    await page.getByRole('button', { name: 'Use this key' }).click()
    await page.getByRole('alert').getByText('the key is restricted').waitFor()
    await page.getByLabel('Account id').fill(eva)
    await page.getByRole('button', { name: 'Open' }).click()
    await page.locator('.good-text', { hasText: 'live' }).waitFor()
    expect(await textOf(page, '.amount-now .money')).toBe('BRL 800.00')
    await page.locator('#explain').getByText('These entries add up.').waitFor()
    await page.goto(`${stack.url}/#/accounts/${frank}`)
    await page.getByRole('alert').getByText('the key is restricted').first().waitFor()
    expect(opened.faults).toEqual([])
  })
})

describe.skipIf(!browser)(browser ? 'the accounts, while balances is away' : withoutBrowser, () => {
  afterAll(closeBrowser)

  test('say so, keep what they know, and go on', async () => {
    await using stack = await startConsoleStack({ start: ['balances'] })
    await using opened = await openConsole(stack.url, { hash: `#/accounts/${eva}` })
    const { page } = opened
    await page.locator('#explain .good-text').waitFor()
    await page.locator('#statement tbody tr').first().waitFor()
    await page.context().setOffline(true)
    const alert = page.getByRole('alert').getByText('There is no answer from balances').first()
    await alert.waitFor({ timeout: 60_000 })
    expect(await textOf(page, '.amount-now .money')).toBe('BRL 800.00')
    await page.context().setOffline(false)
    await page.getByRole('button', { name: 'Try again' }).first().click()
    await eventually(async () => expect(await page.getByRole('alert').count()).toBe(0))
  })
})
