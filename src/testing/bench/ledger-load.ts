/**
 * A load generator over HTTP, run as a separate process: each connection sends its next request after
 * the response to the last. Prints the result as one line of JSON. Uses raw sockets, because an HTTP
 * client would cost more than the service.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { random } from '../random.ts'
import { accountId } from './ledger-accounts.ts'

export type Load = {
  port: number
  connections: number
  accounts: number
  /** A JSON list of account ids; otherwise they are those of `accountId`. */
  idsFile?: string
  ms: number
  /** Transfers per request; more than one go to the batch route. */
  batch: number
  /** Reads balances instead. */
  reads?: boolean
}
export type LoadAnswer = { statuses: Record<string, number>; elapsedMs: number; p50: number; p99: number }

/** A request without a response within this fails the measurement. */
const answerMsMax = 30_000

if (import.meta.main) {
  const load: Load = JSON.parse(process.argv[2] ?? '{}')
  setTimeout(() => process.exit(1), load.ms + answerMsMax)
  process.stdin.on('end', () => process.exit(1)).resume()
  console.log(JSON.stringify(await run(load)))
  process.exit(0)
}

/** Runs in a separate process, so that it does not distort the measurement. */
export async function runLoad(load: Load): Promise<LoadAnswer> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'ledger-load.ts'), JSON.stringify(load)], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const output = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error('the load generator failed')
  return JSON.parse(output)
}

async function run({ port, connections, accounts, idsFile, ms, batch, reads }: Load): Promise<LoadAnswer> {
  const ids: string[] | undefined = idsFile && JSON.parse(readFileSync(idsFile, 'utf8'))
  const idOf = (number: number) => ids?.[number - 1] ?? accountId(number)
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
        socket.write(reads ? readOf(accounts) : requestOf(accounts, batch, idOf))
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

type IdOf = (number: number) => string

function requestOf(accounts: number, batch: number, idOf: IdOf): string {
  if (batch === 1) return postOf('/transactions', transferOf(accounts, idOf))
  const transactions = Array.from({ length: batch }, () => transferOf(accounts, idOf))
  return postOf('/transactions/batch', `{"transactions":[${transactions.join()}]}`)
}

function readOf(accounts: number): string {
  return `GET /balances/${accountId(1 + Math.floor(random() * accounts))} HTTP/1.1\r\nhost: localhost\r\n\r\n`
}

function transferOf(accounts: number, idOf: IdOf): string {
  const from = 1 + Math.floor(random() * accounts)
  const other = 1 + Math.floor(random() * (accounts - 1))
  const to = other < from ? other : other + 1
  return `{"account_id_from":"${idOf(from)}","account_id_to":"${idOf(to)}","amount":1}`
}

function postOf(path: string, body: string): string {
  const headers = `host: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`
  return `POST ${path} HTTP/1.1\r\n${headers}\r\n\r\n${body}`
}

/** The status of a complete response. */
function statusOf(text: string): string | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0) return undefined
  const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1])
  if (Number.isNaN(length)) throw new Error(`a response without a length: ${text.slice(0, head)}`)
  return text.length - head - 4 >= length ? text.slice(9, 12) : undefined
}
