/**
 * Random commands, each previewed and then executed: the preview has to be what follows. Counts what was
 * answered, by route, status and code.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { findFaults } from '../ledger-faults.ts'
import { runPreviews } from '../previews.ts'
import { seed as anySeed, mulberry32 } from '../random.ts'
import { serviceConfig, spawnService } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { connect } from './ledger-accounts.ts'

/** A lane each. */
const currencies = ['BRL', 'USD', 'GBP', 'CAD', 'AUD', 'MXN', 'PLN', 'CZK']

export async function benchPreview([commands = '100000', seed = String(anySeed)]: string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-preview-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const server = await startPostgres({
      dataDir: join(directory, 'postgres'),
      databases: [{ name: 'wallet', user: 'wallet', password: 'wallet' }],
    })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    const url = server.url('wallet')
    const serviceUrl = url.replace('wallet:wallet@', 'wallet_service:wallet_service@')
    const database = { name: 'wallet', url, serviceUrl }
    const settings = { database, brokers: [broker.brokers], topicPrefix: '', seed: false }
    const wallet = await spawnService(serviceConfig('wallet', settings))
    ending.push(wallet.kill)
    const sql = connect(url)
    ending.push(sql.end)

    const begunAt = performance.now()
    const share = Math.ceil(Number(commands) / currencies.length)
    const reports = await Promise.all(
      currencies.map((currency, index) => {
        const random = mulberry32(Number(seed) + index)
        return runPreviews({ wallet, sql, random, currency, commands: share })
      }),
    )
    const seconds = (performance.now() - begunAt) / 1000
    show(reports.map(({ counts }) => counts))
    const faults = [...reports.flatMap((report) => report.faults), ...(await findFaults(sql))]
    const total = share * currencies.length
    console.log(
      `seed ${seed}: ${total} commands, ${currencies.length} at a time, ${seconds.toFixed(1)} s; ` +
        `${faults.length} previews differed from what followed`,
    )
    for (const fault of faults.slice(0, 20)) console.error(fault)
    if (faults.length > 0) throw new Error(`${faults.length} faults`)
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

function show(all: Map<string, number>[]): void {
  const total = new Map<string, number>()
  for (const counts of all)
    for (const [name, count] of counts) total.set(name, (total.get(name) ?? 0) + count)
  for (const [name, count] of [...total].sort(([one], [other]) => (one < other ? -1 : 1)))
    console.log(`${String(count).padStart(7)}  ${name}`)
}
