/** Writes the pictures of the console that the documents show: `bun src/testing/console/screenshots.ts`. */
import { join } from 'node:path'
import { eva, frank } from '../../config/local'
import { endOfFile } from '../backing'
import { eventually } from '../eventually'
import { closeBrowser, openConsole, startConsoleStack } from './console-page'

const docs = join(import.meta.dir, '../../../docs')
const viewport = { width: 1100, height: 720 }

const stack = await startConsoleStack()
const pay = (amount: number) =>
  stack.wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount })
for (let amount = 1; amount <= 20; amount++) await pay(amount)

async function write(
  name: string,
  hash: string,
  colorScheme: 'light' | 'dark',
  ready: string,
): Promise<void> {
  await using opened = await openConsole(stack.url, { hash, colorScheme, viewport })
  await opened.page.locator(ready).first().waitFor()
  for (let amount = 1; amount <= 9; amount++) {
    await pay(amount)
    await Bun.sleep(300)
  }
  await opened.page.mouse.move(0, 0)
  await opened.page.screenshot({ path: join(docs, name) })
}

await eventually(async () => {
  const { status } = await stack.balances.get(`/balances/${eva}`)
  if (status !== 200) throw new Error('balances has no account yet')
})
await write('console-flow.png', '#/flow', 'light', 'main h1')
await write('console-account.png', `#/accounts/${eva}`, 'dark', 'main h1')
await closeBrowser()
await stack[Symbol.asyncDispose]()
await endOfFile()
process.exit(0)
