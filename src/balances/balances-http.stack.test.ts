import { expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { startStack } from '../testing/stack'

setDefaultTimeout(30_000)

test('every request of balances.http answers as its comment says', async () => {
  const text = await Bun.file(join(import.meta.dir, '../../balances.http')).text()
  await using stack = await startStack({ start: ['balances'] })

  const answers: Record<string, unknown> = {}
  for (const block of text.split(/^###/m).slice(1)) {
    const name = /^# @name (\w+)$/m.exec(block)?.[1] ?? ''
    const path = /^GET \{\{host\}\}(\S+)$/m.exec(block)?.[1] ?? ''
    const header = /^([\w-]+): (.+)$/m.exec(block.slice(block.indexOf('GET ')))
    const { status, body } = await stack.balances.get(path, header ? { [String(header[1])]: String(header[2]) } : {})
    answers[name] = body.owner_name ? [status, body.owner_name, body.balance] : [status]
  }
  expect(answers).toEqual({
    balanceOfEva: [200, 'Eva', 800],
    balanceOfFrank: [200, 'Frank', 1200],
    accountOfEva: [200, 'Eva', 800],
    balanceOfJohn: [200, 'John', 1000],
    balanceOfJane: [200, 'Jane', 1000],
    balanceOfAlice: [200, 'Alice', 1000],
    balanceOfBob: [200, 'Bob', 1000],
    balanceOfCharlie: [200, 'Charlie', 1000],
    balanceOfDavid: [200, 'David', 1000],
    balanceOfGrace: [200, 'Grace', 1000],
    balanceOfHarry: [200, 'Harry', 1000],
    balanceOfEvaUnchanged: [304],
    balanceOfNobody: [404],
    problem: [200],
    deadLetters: [200],
    livez: [200],
    readyz: [200],
    healthz: [200],
  })
})
