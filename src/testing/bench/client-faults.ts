/**
 * Transfers by the client of `src/client`, each followed by a read of the payer's balance, while a fifth of
 * the requests is cut, before or after the service has acted. In the end each is in the ledger once, and
 * no read was older than the transfer before it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { runFaults } from '../client-faults.ts'
import { seed as anySeed, mulberry32 } from '../random.ts'
import { serviceConfig, spawnService } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { connect } from './ledger-accounts.ts'

const [share, lanes] = [0.2, 32]

export async function benchClientFaults([
  transfers = '10000',
  seed = String(anySeed),
]: string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-client-faults-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const owners = ['wallet', 'balances'].map((name) => ({ name, user: name, password: name }))
    const server = await startPostgres({ dataDir: join(directory, 'postgres'), databases: owners })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    const start = async (name: 'wallet' | 'balances') => {
      const url = server.url(name)
      const serviceUrl = url.replace(`${name}:${name}@`, `${name}_service:${name}_service@`)
      const database = { name, url, serviceUrl }
      const settings = { database, brokers: [broker.brokers], topicPrefix: '', seed: false }
      const service = await spawnService(serviceConfig(name, settings))
      ending.push(service.kill)
      return service
    }
    const [wallet, balances] = [await start('wallet'), await start('balances')]
    const sql = connect(server.url('wallet'))
    ending.push(sql.end)

    const begunAt = performance.now()
    const random = mulberry32(Number(seed))
    const run = { wallet, balances, sql, transfers: Number(transfers), lanes, share, random }
    const { requests, cuts, reads, faults } = await runFaults(run)
    const seconds = (performance.now() - begunAt) / 1000
    const total = Object.values(cuts).reduce((sum, count) => sum + count)
    const listed = Object.entries(cuts).map(([moment, count]) => `${count} ${moment}`)
    console.log(
      `seed ${seed}: ${transfers} transfers, ${reads} reads, ${lanes} at a time, ${seconds.toFixed(1)} s`,
    )
    console.log(
      `${requests} requests, ${total} cut (${((100 * total) / requests).toFixed(1)} %): ${listed.join(', ')}`,
    )
    for (const fault of faults.slice(0, 20)) console.error(fault)
    if (faults.length > 0) throw new Error(`${faults.length} faults`)
    console.log('none doubled, none lost, no stale read; the ledger is sound')
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}
