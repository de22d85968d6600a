/** The console in a real browser, over real services. */
import axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { ServiceConfig, ServiceName } from '../../config/config'
import { freePort } from '../../platform/process/ports'
import { browser as executablePath } from '../browser'
import { type Stack, type StackOptions, startStack } from '../stack'

export { browser } from '../browser'

/** What a browser test is called where there is no browser. */
export const withoutBrowser = 'skipped: there is no Chromium here, and CHROMIUM names none'

export type ConsoleStack = Stack & { url: string }

type Changes = Partial<Record<ServiceName, Partial<ServiceConfig>>>

/** Both services, set up for the console as `npm start` does. */
export async function startConsoleStack({
  changes = {},
  ...options
}: StackOptions & { changes?: Changes } = {}): Promise<ConsoleStack> {
  const [walletPort, balancesPort] = [freePort(), freePort()]
  const url = `http://127.0.0.1:${balancesPort}`
  const walletPublicUrl = `http://127.0.0.1:${walletPort}`
  const stack = await startStack({
    ...options,
    changes: {
      wallet: { port: walletPort, corsOrigins: [url], ...changes.wallet },
      balances: { port: balancesPort, walletPublicUrl, consoleActions: true, ...changes.balances },
    },
  })
  return Object.assign(stack, { url })
}

export type ConsolePage = {
  page: Page
  /** Errors of scripts, refused loads and requests to anybody but the two services, so far. */
  faults: string[]
  /** What axe finds wrong with what is shown. */
  axe(): Promise<string[]>
  [Symbol.asyncDispose](): Promise<void>
}

let browsers: Promise<Browser> | undefined

/** Once in a file of tests. Ended by `closeBrowser`. */
const launched = () => {
  browsers ??= chromium.launch({
    executablePath: executablePath ?? '',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  return browsers
}

/** In `afterAll` of each file that opens pages. */
export async function closeBrowser(): Promise<void> {
  await (await browsers)?.close()
  browsers = undefined
}

/** Opens the console at an address such as `#/health`, in a context of its own: English, light, a laptop. */
export async function openConsole(
  url: string,
  { hash = '', ...options }: BrowserContextOptions & { hash?: string } = {},
): Promise<ConsolePage> {
  const context = await (await launched()).newContext({ locale: 'en-GB', bypassCSP: false, ...options })
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    // Of the browser itself, for any answer that is none of 2xx.
    const isStatus = /^Failed to load resource/.test(message.text())
    if (message.type() === 'error' && !isStatus) faults.push(message.text())
  })
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url())
    if (/^https?:$/.test(protocol) && hostname !== '127.0.0.1' && hostname !== 'localhost')
      faults.push(`a request to ${request.url()}`)
  })
  await page.goto(`${url}/${hash}`)
  return {
    page,
    faults,
    async axe() {
      // The page itself may load no script from elsewhere; the debugger may.
      await page.evaluate(axe.source)
      const { violations } = await page.evaluate(() =>
        (window as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ['violations'] }),
      )
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)
    },
    [Symbol.asyncDispose]: () => context.close(),
  }
}
