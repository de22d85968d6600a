/** Where a transaction is, in a real browser. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { eva, frank } from '../../config/local'
import { rejectEntries, takeLead } from '../../drills/sessions-store'
import { openKeys } from '../api-keys'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'

describe.skipIf(!browser)(browser ? 'where a transaction is' : withoutBrowser, () => {
  let stack: ConsoleStack
  beforeAll(async () => {
    stack = await startConsoleStack()
  })
  afterAll(async () => {
    await closeBrowser()
    await stack[Symbol.asyncDispose]()
  })

  const pay = async (): Promise<string> => {
    const transfer = { account_id_from: eva, account_id_to: frank, amount: 12.5 }
    const { status, body } = await stack.wallet.post('/transactions', transfer)
    expect(status).toBe(201)
    return String(body.id)
  }
  const arrived = 'It has arrived: balances shows it.'
  const shot = process.env.SHOTS

  test('an id that is pasted is followed until it has arrived, while no relay leads and after', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/transactions' })
    const { page, faults, axe } = opened
    await page.getByText('Which transaction?').waitFor()
    expect(await axe()).toEqual([])

    const lead = await takeLead(stack.databases.wallet.serviceUrl)
    await page.getByLabel('Id of a transaction').fill(` ${await pay()} `)
    await page.keyboard.press('Enter')
    const status = page.getByRole('status')
    await status.getByText('It waits in the outbox: no relay leads.').waitFor()
    await page.getByText('A wallet takes over within a second').waitFor()
    await page.getByRole('link', { name: 'What to do' }).waitFor()
    expect(await page.locator('.station.waits h3').textContent()).toStartWith('Published')
    expect(await axe()).toEqual([])

    await lead[Symbol.asyncDispose]()
    await status.getByText(arrived).waitFor()
    expect(await page.locator('.station.passed').count()).toBe(4)
    await page.getByText(/balances, partition \d, offset \d+/).waitFor()
    if (shot) await page.screenshot({ path: `${shot}/where-done.png`, fullPage: true })
    expect(await axe()).toEqual([])
    expect(faults).toEqual([])
  })

  test('the one that has just moved can be chosen, and its hops have times of the live flow', async () => {
    await using opened = await openConsole(stack.url, { hash: '#/transactions' })
    const { page, faults } = opened
    await page.getByText('Which transaction?').waitFor()
    const id = await pay()
    await page.locator(`a[href="#/transactions/${id}"]`).click()
    await page.getByRole('status').getByText(arrived).waitFor()
    for (const hop of ['request', 'decided', 'received'])
      await page.locator('.station-times').getByText(hop, { exact: false }).first().waitFor()
    expect(await page.locator('.station-times time').count()).toBe(4)
    expect(faults).toEqual([])
  })

  test('a dead letter has its cause, in Portuguese, in the dark, on a phone', async () => {
    const url = stack.databases.balances.url
    const constraint = await rejectEntries(url, { accountId: eva, seconds: 60 })
    try {
      const id = await pay()
      await using opened = await openConsole(stack.url, {
        hash: `#/transactions/${id}`,
        ...{ locale: 'pt-BR', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
      })
      const { page, axe, faults } = opened
      await page.getByRole('status').getByText('O registro é uma dead letter').waitFor()
      expect(await page.locator('.station.failed h3').textContent()).toStartWith('Aplicada')
      expect(await axe()).toEqual([])
      const isWider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
      expect(isWider).toBe(false)
      if (shot) await page.screenshot({ path: `${shot}/where-letter.png`, fullPage: true })
      expect(faults).toEqual([])
    } finally {
      await constraint[Symbol.asyncDispose]()
    }
  })

  test('a wallet that wants a key is asked again once there is one', async () => {
    await using keyed = await startConsoleStack({ changes: { wallet: { auth: 'keys' } } })
    await using keys = openKeys(keyed.databases.wallet)
    const key = await keys.create({ scopes: ['read', 'write'] })
    const transfer = { account_id_from: eva, account_id_to: frank, amount: 1 }
    const { body } = await keyed.wallet.post('/transactions', transfer, key)
    await using opened = await openConsole(keyed.url, { hash: `#/transactions/${body.id}` })
    const { page, axe, faults } = opened
    await page.getByRole('status').getByText('wallet refuses to say it (401)').waitFor()
    expect(await axe()).toEqual([])
    await page.getByLabel('Key for wallet').fill(key.authorization.replace('Bearer ', ''))
    await page.getByRole('button', { name: 'Use this key' }).click()
    await page.getByRole('status').getByText(arrived).waitFor()
    expect(faults).toEqual([])
  })

  test('without the address of the wallet the page says which setting is missing', async () => {
    await using alone = await startConsoleStack({ changes: { balances: { walletPublicUrl: undefined } } })
    await using opened = await openConsole(alone.url, { hash: '#/transactions/some-id' })
    await opened.page.getByRole('alert').getByText('Set WALLET_PUBLIC_URL for balances').waitFor()
    expect(opened.faults).toEqual([])
  })

  test.each([crypto.randomUUID(), '<img src=x onerror=alert(1)>', '../../accounts', 'ü%'])(
    'the wallet has no transaction %s',
    async (id) => {
      const hash = `#/transactions/${encodeURIComponent(id)}`
      await using opened = await openConsole(stack.url, { hash })
      const { page, axe, faults } = opened
      await page.getByRole('status').getByText('The wallet has no such transaction.').waitFor()
      expect(await page.getByLabel('Id of a transaction').inputValue()).toBe(id)
      expect(await axe()).toEqual([])
      expect(faults).toEqual([])
    },
  )
})
