/** The view that tries things: every button, what it refuses, and the tour. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { openKeys } from '../api-keys'
import { eventually } from '../eventually'
import {
  browser,
  type ConsoleStack,
  closeBrowser,
  openConsole,
  startConsoleStack,
  withoutBrowser,
} from './console-page'
import { startAll } from './npm-start'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

const card = (page: Page, name: string) => page.locator(`#try-${name}`)
const press = (page: Page, name: string) => card(page, name).locator('button:not(.quiet)').click()
/** Waits for an address, and returns to the view. */
async function leadsTo(page: Page, hash: RegExp): Promise<string> {
  await page.waitForURL(({ hash: current }) => hash.test(current))
  const { hash: reached } = new URL(page.url())
  await page.goBack()
  await page.waitForSelector('#try-pay')
  return reached
}

describe.skipIf(!browser)(browser ? 'the view that tries things' : withoutBrowser, () => {
  let stack: ConsoleStack
  beforeAll(async () => {
    stack = await startConsoleStack()
  })
  afterAll(async () => {
    await closeBrowser()
    await stack[Symbol.asyncDispose]()
  })

  const open = async (options: Parameters<typeof openConsole>[1] = {}) => {
    const opened = await openConsole(stack.url, { hash: '#/try', ...options })
    opened.page.setDefaultTimeout(20_000)
    return opened
  }

  test.each([
    ['light', 1280, 'en-GB', 'Make a transfer'],
    ['dark', 360, 'pt-BR', 'Fazer uma transferência'],
  ] as const)('nothing is wrong with it: %s, %d px, %s', async (colorScheme, width, locale, title) => {
    await using opened = await open({ colorScheme, viewport: { width, height: 800 }, locale })
    const { page } = opened
    await page.getByRole('heading', { name: title }).waitFor()
    await page.locator('option', { hasText: 'Frank' }).first().waitFor({ state: 'attached' })
    expect(await opened.axe()).toEqual([])
    expect(opened.faults).toEqual([])
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width)
  })

  test('a transfer is shown as a command, made, and then followed', async () => {
    await using opened = await open()
    const { page } = opened
    await page.getByLabel('Amount (BRL)').fill('2,50')
    const command = (await card(page, 'pay').locator('pre').first().textContent()) ?? ''
    expect(command).toContain(`-d '{"account_id_from":"${eva}","account_id_to":"${frank}","amount":"2.50"}'`)
    await press(page, 'pay')
    const hash = await leadsTo(page, /^#\/transactions\/.+/)
    const { body } = await stack.wallet.get(`/transactions/${hash.split('/')[2]}`)
    expect(body).toMatchObject({ account_id_from: eva, account_id_to: frank, amount: 2.5 })
    // It is still there, with its answer.
    await card(page, 'pay').getByText('Status 201').waitFor()
    expect(await card(page, 'pay').getByText('See what it caused').getAttribute('href')).toBe(hash)
    expect(opened.faults).toEqual([])

    // The command does the same, and under the same key nothing more.
    const key = /idempotency-key: "(\w+)"/.exec(command)?.[1]
    const shell = Bun.spawn(['/bin/sh', '-c', command.replace(/^curl/, 'curl -s')], { stderr: 'ignore' })
    expect([key?.length, (await new Response(shell.stdout).json()).id]).toEqual([32, body.id])
  })

  test('a hold is placed and captured, once', async () => {
    await using opened = await open()
    const { page } = opened
    await card(page, 'capture').getByText('There is no open hold from this page').waitFor()
    await press(page, 'hold')
    await leadsTo(page, new RegExp(`^#/accounts/${eva}$`))
    await press(page, 'capture')
    const hash = await leadsTo(page, /^#\/transactions\/.+/)
    const { body } = await stack.wallet.get(`/transactions/${hash.split('/')[2]}`)
    expect(body).toMatchObject({ kind: 'capture', amount: 1 })
    expect(await card(page, 'capture').locator('button:not(.quiet)').isDisabled()).toBe(true)
    expect(opened.faults).toEqual([])
  })

  test('the same key twice has one answer, and the money moves once', async () => {
    await using opened = await open()
    const { page } = opened
    const before = Number((await stack.wallet.get(`/accounts/${eva}`)).body.version)
    await press(page, 'sameKey')
    await card(page, 'sameKey').getByText('Idempotency-Replayed: true').waitFor()
    await card(page, 'sameKey').locator('.try-body').nth(1).waitFor()
    const answers = await card(page, 'sameKey').locator('.try-body').allTextContents()
    expect([answers.length, answers[0]]).toEqual([2, answers[1]])
    expect(Number((await stack.wallet.get(`/accounts/${eva}`)).body.version)).toBe(before + 1)
    expect(await card(page, 'sameKey').getByText('See what it caused').getAttribute('href')).toMatch(
      /^#\/transactions\//,
    )
  })

  test('refusals say what happened and what to do', async () => {
    await using opened = await open()
    const { page } = opened
    await press(page, 'payOneself')
    const oneself = card(page, 'payOneself')
    await oneself.getByText('Both accounts are the same (wallet, 422)').waitFor()
    await oneself.getByText('This refusal is what the button is for.').waitFor()
    await oneself.getByText('Name another account.').waitFor()

    await page.getByLabel('Amount (BRL)').fill('999999')
    await press(page, 'pay')
    await card(page, 'pay').getByText('Insufficient funds (wallet, 422)').waitFor()
    await card(page, 'pay').getByText('Send a smaller amount, or fund the account first.').waitFor()

    await page.getByLabel('Amount (BRL)').fill('a lot')
    await press(page, 'pay')
    await card(page, 'pay').locator('.refusal').getByText('#/amount').waitFor()
    expect(page.url()).toContain('#/try?')
    expect(opened.faults).toEqual([])
  })

  test('what a URL holds is text, in the form and in the command', async () => {
    const hostile = `'"><img src=x onerror=alert(1)>$(touch /tmp/owned)\``
    const hash = `#/try?${new URLSearchParams({ from: hostile, to: frank, amount: hostile })}`
    await using opened = await open({ hash })
    const { page } = opened
    await press(page, 'pay')
    await card(page, 'pay').getByText('Status 422').waitFor()
    expect(await page.locator('img').count()).toBe(0)
    const command = (await card(page, 'pay').locator('pre').first().textContent()) ?? ''
    const script = `curl() { printf '%s' "$7"; }\n${command}`
    const word = Bun.spawnSync(['/bin/sh', '-c', script]).stdout.toString()
    expect(JSON.parse(word)).toMatchObject({ account_id_from: hostile, amount: hostile.replace(',', '.') })
    expect(opened.faults).toEqual([])
  })

  test('records are sent, the projection is paused and resumed, a rebuild is started', async () => {
    await using opened = await open()
    const { page } = opened
    await press(page, 'courseRecord')
    await leadsTo(page, /^#\/accounts\/ana$/)
    await press(page, 'poisonRecord')
    await leadsTo(page, /^#\/health$/)
    await card(page, 'poisonRecord').getByText('Answer').click()
    await card(page, 'poisonRecord').getByText('"offset"').waitFor()

    await press(page, 'pause')
    await leadsTo(page, /^#\/flow$/)
    expect((await stack.balances.get('/readyz')).body).toMatchObject({
      checks: { consumer: { status: 'warn' } },
    })
    await press(page, 'resume')
    await leadsTo(page, /^#\/flow$/)

    await press(page, 'rebuild')
    await leadsTo(page, /^#\/health$/)
    expect((await stack.balances.get('/rebuild')).body.state).not.toBe('none')
    expect(opened.faults).toEqual([])
  })

  test('what only npm start can do is not offered elsewhere, and says so', async () => {
    await using opened = await open({ locale: 'pt-BR' })
    const { page } = opened
    for (const name of ['stopBroker', 'startBroker', 'killWallet', 'killBalances']) {
      await card(page, name).getByText('Só o npm start pode fazer isto').waitFor()
      const button = card(page, name).locator('button:not(.quiet)')
      expect(await button.isDisabled()).toBe(true)
      const why = await button.getAttribute('aria-describedby')
      expect(await page.locator(`#${why}`).textContent()).toContain('npm start')
    }
  })

  const stepsOf = {
    'en-GB': {
      ...{ begin: 'Start the tour', next: 'Next', finish: 'End the tour', restart: /Start the tour of five/ },
      progress: (step: number) => `Step ${step} of 5`,
      presses: [
        [['Pay 1', 'Paid. The wallet has answered before any event was published.']],
        [['Pay again', 'Paid: the new lane is on top.']],
        [],
        [
          ['Pause and pay', 'Paused and paid: it waits at the projection now.'],
          ['Resume', 'Resumed: it is applied at the stored offset'],
        ],
        [
          ['Pay and read at once', 'was asked for, and version'],
          ['Start a rebuild', 'The rebuild runs'],
        ],
      ],
    },
    'pt-BR': {
      ...{
        begin: 'Iniciar o tour',
        next: 'Próximo',
        finish: 'Encerrar o tour',
        restart: /Iniciar o tour de/,
      },
      progress: (step: number) => `Passo ${step} de 5`,
      presses: [
        [['Pagar 1', 'Pago. A wallet respondeu antes de qualquer evento ser publicado.']],
        [['Pagar de novo', 'Pago: a nova raia está no topo.']],
        [],
        [
          ['Pausar e pagar', 'Pausada e pago: agora espera na projeção.'],
          ['Retomar', 'Retomada: é aplicado a partir do offset guardado'],
        ],
        [
          ['Pagar e ler em seguida', 'foi pedida, e a versão'],
          ['Iniciar a reconstrução', 'A reconstrução está rodando'],
        ],
      ],
    },
  } as const
  const seenAt = [/^#\/try$/, /^#\/flow$/, /^#\/transactions\/.+/, /^#\/transactions\/.+/, /^#\/health$/]

  test.each(['en-GB', 'pt-BR'] as const)(
    'the tour goes from its first step to its last: %s',
    async (locale) => {
      await using opened = await open({ locale })
      const { page } = opened
      const { begin, next, finish, restart, progress, presses } = stepsOf[locale]
      await page.getByRole('button', { name: begin, exact: true }).click()
      const tour = page.locator('#tour')
      for (const [nth, buttons] of presses.entries()) {
        await tour.getByText(progress(nth + 1)).waitFor()
        // Its heading has the focus: a screen reader reads it.
        expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('H2')
        for (const [button, said] of buttons) {
          await tour.getByRole('button', { name: button, exact: true }).click()
          await tour.getByText(said).waitFor()
        }
        await page.waitForURL(({ hash }) => (seenAt[nth] ?? /./).test(hash))
        expect([nth, await opened.axe()]).toEqual([nth, []])
        if (nth < presses.length - 1) await tour.getByRole('button', { name: next, exact: true }).click()
      }
      await tour.getByRole('button', { name: finish }).click()
      await tour.waitFor({ state: 'detached' })
      expect((await stack.balances.get('/rebuild')).body.state).not.toBe('none')

      // It was seen, and can be started again; Escape leaves it.
      await page.goto(`${stack.url}/#/try`)
      await page.reload()
      await page.waitForSelector('#try-pay')
      expect(await page.locator('.tour').count()).toBe(0)
      await page.getByRole('button', { name: restart }).click()
      await tour.getByText(progress(1)).waitFor()
      await page.keyboard.press('Escape')
      await tour.waitFor({ state: 'detached' })
      expect(opened.faults).toEqual([])
    },
  )

  test('the tour is offered on the first visit only', async () => {
    await using opened = await open()
    const { page } = opened
    await page.getByText('The first time here?').waitFor()
    await page.keyboard.press('Tab')
    await page.getByRole('button', { name: 'Not now' }).press('Enter')
    await page.getByText('The first time here?').waitFor({ state: 'detached' })
    await page.reload()
    await page.waitForSelector('#try-pay')
    expect(await page.getByText('The first time here?').count()).toBe(0)
  })
})

describe.skipIf(!browser)(browser ? 'what is not allowed' : withoutBrowser, () => {
  afterAll(closeBrowser)

  test('without a wallet address and without actions, buttons are off and say why', async () => {
    const changes = { balances: { consoleActions: false, walletPublicUrl: undefined } }
    await using stack = await startConsoleStack({ start: ['balances'], changes })
    await using opened = await openConsole(stack.url, { hash: '#/try' })
    const { page } = opened
    await page.getByRole('button', { name: 'Start the tour', exact: true }).click()
    await page.locator('#tour').getByText('This button is off: The address of the wallet').waitFor()
    const isOff = (name: string) => card(page, name).locator('button:not(.quiet)').isDisabled()
    for (const name of ['pay', 'hold', 'capture', 'sameKey', 'payOneself']) {
      await card(page, name).getByText('Set WALLET_PUBLIC_URL for balances').waitFor()
      expect(await isOff(name)).toBe(true)
    }
    for (const name of ['pause', 'resume', 'courseRecord', 'poisonRecord', 'stopBroker', 'killWallet']) {
      await card(page, name).getByText('CONSOLE_ACTIONS=true').waitFor()
      expect(await isOff(name)).toBe(true)
    }
    expect(await isOff('rebuild')).toBe(false)
    expect(await opened.axe()).toEqual([])
    expect(opened.faults).toEqual([])
  })

  test('a key without the scope is refused with a reason, and is in no command', async () => {
    await using stack = await startConsoleStack()
    await using keys = openKeys(stack.databases.balances)
    const { authorization } = await keys.create({ scopes: ['read', 'write'] })
    await eventually(async () => expect((await stack.balances.get('/balances')).status).toBe(401))
    await using opened = await openConsole(stack.url, { hash: '#/try' })
    const { page } = opened
    const token = authorization.replace('Bearer ', '')
    await page.getByLabel('Key for balances').fill(token)
    await page.getByRole('button', { name: 'Use this key' }).click()
    await press(page, 'pause')
    await card(page, 'pause').getByText('balances, 403').waitFor()
    await card(page, 'pause').getByText('the route needs admin').last().waitFor()
    await card(page, 'pause').getByText('What to do:').waitFor()
    expect(await card(page, 'pause').locator('pre').first().textContent()).toContain(
      '-H "authorization: Bearer $BALANCES_KEY"',
    )
    expect(await page.content()).not.toContain(token)
    expect((await stack.balances.get('/readyz')).body.status).toBe('pass')
  })
})

describe.skipIf(!browser)(browser ? 'with npm start' : withoutBrowser, () => {
  afterAll(closeBrowser)

  test('broker and services are stopped, killed and come back', async () => {
    await using all = await startAll()
    await using opened = await openConsole(all.balances, { hash: '#/try', locale: 'pt-BR' })
    const { page } = opened
    page.setDefaultTimeout(30_000)

    await press(page, 'stopBroker')
    await leadsTo(page, /^#\/health$/)
    // A transfer does not wait for the broker; its events do.
    await press(page, 'pay')
    await page.waitForURL(({ hash }) => hash.startsWith('#/transactions/'))
    const id = new URL(page.url()).hash.split('/')[2]
    const delivery = async () =>
      (await (await fetch(`${all.wallet}/transactions/${id}/delivery`)).json()) as { status: string }
    expect((await delivery()).status).toBe('pending')
    await page.goBack()
    await press(page, 'startBroker')
    await leadsTo(page, /^#\/health$/)
    await eventually(async () => expect((await delivery()).status).toBe('published'))

    for (const [name, service] of [
      ['killWallet', 'wallet'],
      ['killBalances', 'balances'],
    ] as const) {
      await press(page, name)
      await leadsTo(page, /^#\/health$/)
      await eventually(() => {
        const lines = all.printed().split(`${service} killed by signal 9 (SIGKILL)`)
        expect(lines[1]).toMatch(new RegExp(`^${service} +ready on`, 'm'))
      })
    }
    // The page goes on with what has come back.
    await press(page, 'payOneself')
    await card(page, 'payOneself').getByText('422').first().waitFor()
    await press(page, 'pay')
    await leadsTo(page, /^#\/transactions\//)
    expect(opened.faults).toEqual([])
  })
})
