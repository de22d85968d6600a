/**
 * Transfers over HTTP as a process of its own: each connection sends its next request when the last
 * one is answered. Sends for a while, waits for every answer, and prints what came back as one line
 * of JSON. Speaks HTTP by hand, because a real client would cost more than the service.
 */

import { join } from 'node:path'
import { random } from '../random.ts'
import { accountId } from './ledger-accounts.ts'

export type Load = {
  port: number
  connections: number
  accounts: number
  ms: number
  /** Transfers in a request: with more than one, they go to the batch route. */
  batch: number
  /** Asks for balances instead. */
  reads?: boolean
}
export type LoadAnswer = { statuses: Record<string, number>; elapsedMs: number; p50: number; p99: number }

/** A request that is not answered within this has failed, and the measurement with it. */
const answerMsMax = 30_000

if (import.meta.main) {
  const load: Load = JSON.parse(process.argv[2] ?? '{}')
  setTimeout(() => process.exit(1), load.ms + answerMsMax)
  process.stdin.on('end', () => process.exit(1)).resume()
  console.log(JSON.stringify(await run(load)))
  process.exit(0)
}

/** In a process of its own, so that it does not take the time of whoever measures. */
export async function runLoad(load: Load): Promise<LoadAnswer> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'ledger-load.ts'), JSON.stringify(load)], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const said = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error('requests were not answered')
  return JSON.parse(said)
}

async function run({ port, connections, accounts, ms, batch, reads }: Load): Promise<LoadAnswer> {
  const statuses: Record<string, number> = {}
  const latencies: number[] = []
  const begun = performance.now()
  const speak = () =>
    new Promise<void>((resolve, reject) => {
      let sentAt = 0
      let received = ''
      const send = (socket: Bun.Socket) => {
        if (performance.now() - begun >= ms) {
          resolve()
          socket.end()
          return
        }
        sentAt = performance.now()
        socket.write(reads ? readOf(accounts) : requestOf(accounts, batch))
      }
      Bun.connect({
        hostname: '127.0.0.1',
        port,
        socket: {
          open: send,
          data(socket, chunk) {
            received += chunk.toString('latin1')
            const status = statusOf(received)
            if (!status) return
            received = ''
            latencies.push(performance.now() - sentAt)
            statuses[status] = (statuses[status] ?? 0) + 1
            send(socket)
          },
          close: () => reject(new Error('the service closed a connection')),
          error: (_, error) => reject(error),
        },
      }).catch(reject)
    })
  await Promise.all(Array.from({ length: connections }, speak))
  const elapsedMs = performance.now() - begun
  latencies.sort((left, right) => left - right)
  const part = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
  return { statuses, elapsedMs, p50: part(0.5), p99: part(0.99) }
}

function requestOf(accounts: number, batch: number): string {
  if (batch === 1) return postOf('/transactions', transferOf(accounts))
  const transactions = Array.from({ length: batch }, () => transferOf(accounts))
  return postOf('/transactions/batch', `{"transactions":[${transactions.join()}]}`)
}

function readOf(accounts: number): string {
  return `GET /balances/${accountId(1 + Math.floor(random() * accounts))} HTTP/1.1\r\nhost: localhost\r\n\r\n`
}

function transferOf(accounts: number): string {
  const from = 1 + Math.floor(random() * accounts)
  const other = 1 + Math.floor(random() * (accounts - 1))
  const to = other < from ? other : other + 1
  return `{"account_id_from":"${accountId(from)}","account_id_to":"${accountId(to)}","amount":1}`
}

function postOf(path: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

/** The status of an answer that has arrived as a whole. */
function statusOf(text: string): string | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0) return undefined
  const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1])
  if (Number.isNaN(length)) throw new Error(`an answer without a length: ${text.slice(0, head)}`)
  return text.length - head - 4 >= length ? text.slice(9, 12) : undefined
}
