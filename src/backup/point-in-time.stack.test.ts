/**
 * Recovery of the wallet to a time, as docs/backup.md describes it, with a base backup and an archive of
 * the write-ahead log, both made while payments go on: to a chosen time, and, from the same backup, to the
 * end of the archive once the disk is lost.
 */
import { expect, test } from 'bun:test'
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { startBalances } from '../balances/service'
import { type Postgres, startPostgres } from '../local/postgres/cluster'
import { backing, log } from '../testing/backing'
import { eventually } from '../testing/eventually'
import { reconciled } from '../testing/reconciled'
import { temporaryDir } from '../testing/servers'
import { type Caller, callerOf, serviceConfig } from '../testing/stack'
import { eva, frank } from '../testing/wallets'
import { startWallet } from '../wallet/service'

/** Seconds after which what was written is archived, however little it is. */
const archiveTimeout = 1

/** Between two payments of a caller. */
const pauseMs = 20

type Files = { dir: string; archive: string }

async function query(server: Postgres, text: string, database = 'postgres') {
  const url = Object.assign(new URL(server.adminUrl), { pathname: `/${database}` }).href
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  return sql.unsafe(text).finally(() => sql.end())
}

/** A server with an archive. It is durable: what other tests leave out is what a recovery relies on. */
async function startArchiving({ dir, archive }: Files): Promise<Postgres> {
  const options = { dataDir: join(dir, 'server'), durable: true }
  const databases = [{ name: 'wallet', user: 'wallet', password: 'wallet' }]
  const first = await startPostgres({ ...options, databases })
  const command = `test ! -f ${archive}/%f && cp %p ${archive}/%f.new && mv ${archive}/%f.new ${archive}/%f`
  await query(first, 'alter system set archive_mode = on')
  await query(first, `alter system set archive_timeout = ${archiveTimeout}`)
  await query(first, `alter system set archive_command = '${command}'`)
  await first.stop()
  // PostgreSQL runs as another user where the tests run as root.
  mkdirSync(archive)
  await run('chown', '--reference', join(options.dataDir, 'cluster'), archive)
  return startPostgres({ ...options, port: first.port, databases })
}

/** Without waiting in between: payments go on in this process. */
async function run(...command: string[]): Promise<number> {
  return Bun.spawn(command, { stdout: 'ignore', stderr: 'ignore' }).exited
}

/** By `pg_basebackup`, where `PG_BIN` names the tools of the server's version; else by hand. */
async function makeBaseBackup({ dir }: Files, server: Postgres): Promise<string> {
  const base = join(dir, 'base')
  const tool = join(process.env.PG_BIN ?? '', 'pg_basebackup')
  if (process.env.PG_BIN && existsSync(tool)) {
    expect(await run(tool, '-d', server.adminUrl, '-D', base, '--checkpoint=fast')).toBe(0)
    return base
  }
  const sql = postgres(server.adminUrl, { max: 1, onnotice: () => {} })
  await sql`select pg_backup_start('base', fast => true)`
  // Files that vanish meanwhile are in the log.
  await run('cp', '-a', join(dir, 'server/cluster'), base)
  const [stopped] = await sql`select labelfile from pg_backup_stop()`
  await sql.end()
  for (const name of ['postmaster.pid', 'postmaster.opts', 'pg_wal'])
    rmSync(join(base, name), { recursive: true })
  mkdirSync(join(base, 'pg_wal'), { mode: 0o700 })
  writeFileSync(join(base, 'backup_label'), stopped?.labelfile)
  return base
}

/** Puts the base backup in place of what is there, and lets the server recover from the archive. */
async function recover({ dir, archive }: Files, base: string, { port, target }: Recovery): Promise<Postgres> {
  const dataDir = join(dir, 'server')
  const cluster = join(dataDir, 'cluster')
  rmSync(cluster, { recursive: true })
  await run('cp', '-a', base, cluster)
  const settings = [`restore_command = 'cp ${archive}/%f %p'`]
  // It refuses the Z of RFC 3339.
  const time = target?.toISOString().replace('Z', '+00')
  if (time) settings.push(`recovery_target_time = '${time}'`, 'recovery_target_action = promote')
  appendFileSync(join(cluster, 'postgresql.auto.conf'), settings.map((setting) => `${setting}\n`).join(''))
  writeFileSync(join(cluster, 'recovery.signal'), '')
  // Its owner is made that of the server by the start.
  await run('chown', '-R', '--reference', join(dir, 'archive'), cluster)
  const server = await startPostgres({ dataDir, durable: true, port, databases: [] })
  // Its checkpointer sleeps since the recovery, and heeds archive_timeout once it was woken.
  await query(server, 'checkpoint')
  return server
}
type Recovery = { port: number; target?: Date }

type Payment = { id: string; sentMs: number; answeredMs: number }

/** Two callers that pay one after the other, until they are stopped. */
function payOn(wallet: Caller) {
  const payments: Payment[] = []
  let isStopped = false
  const pay = async () => {
    while (!isStopped) {
      const sentMs = Date.now()
      const transfer = { account_id_from: eva, account_id_to: frank, amount: 0.01 }
      const { status, body } = await wallet.post('/transactions', transfer)
      expect(status).toBe(201)
      payments.push({ id: String(body.id), sentMs, answeredMs: Date.now() })
      await Bun.sleep(pauseMs)
    }
  }
  const callers = [pay(), pay()]
  return {
    payments,
    /** Until there are so many more. */
    goOn: async (count: number) => {
      const enough = payments.length + count
      await eventually(() => expect(payments.length).toBeGreaterThanOrEqual(enough))
    },
    async stop() {
      isStopped = true
      await Promise.all(callers)
    },
  }
}

/** Both services, the wallet on a server of its own that can be lost and recovered. */
async function startTown() {
  const dir = temporaryDir()
  const files = { dir, archive: join(dir, 'archive') }
  let server = await startArchiving(files)
  const { port } = server
  const shared = await backing()
  const urlOf = (user: string) => `postgres://${user}:${user}@127.0.0.1:${port}/wallet`
  const databases = {
    wallet: { name: 'wallet', url: urlOf('wallet'), serviceUrl: urlOf('wallet_service') },
    balances: await shared.createDatabase('balances', 'balances', true),
  }
  const settings = { brokers: shared.brokers, topicPrefix: shared.topicPrefix(), seed: true }
  const config = {
    wallet: serviceConfig('wallet', { ...settings, database: databases.wallet }),
    balances: serviceConfig('balances', { ...settings, database: databases.balances }),
  }
  const balances = await startBalances(config.balances, log)
  let wallet = await startWallet(config.wallet, log)
  const segment = async () =>
    (await query(server, 'select pg_walfile_name(pg_current_wal_lsn()) as name'))[0]?.name as string
  return {
    segment,
    pay: () => payOn(callerOf('wallet', wallet.port)),
    backUp: () => makeBaseBackup(files, server),
    ask: (text: string) => query(server, text, 'wallet'),
    /** What was written until now is in the archive. */
    async archived() {
      const written = await segment()
      await eventually(async () => {
        const [row] = await query(server, 'select last_archived_wal as name from pg_stat_archiver')
        expect(row?.name >= written).toBe(true)
      })
    },
    async crash() {
      process.kill(server.pid, 'SIGKILL')
      await server.exited
    },
    /** Stops the wallet, and what is left of its server. */
    async recover(base: string, target?: Date) {
      await wallet.stop()
      await server.stop()
      server = await recover(files, base, { port, ...(target && { target }) })
    },
    async start() {
      wallet = await startWallet(config.wallet, log)
    },
    expectEqualBooks: () =>
      eventually(
        async () => {
          const report = await reconciled({ config, databases }, { waitMs: 10_000 })
          expect(report.differences).toEqual([])
          expect(report.counts).toMatchObject({ waiting: 0, behind: 0, unchecked: 0, lag: 0 })
          return report
        },
        { intervalMs: 200 },
      ),
    async [Symbol.asyncDispose]() {
      await Promise.all([wallet.stop(), balances.stop()])
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

test('the wallet goes back to a time, then to the end of its archive, and the books are equal', async () => {
  await using town = await startTown()
  const countOf = async (payments: readonly Payment[]) => {
    const ids = payments.map(({ id }) => `'${id}'`).join()
    return (await town.ask(`select from transactions where id in (${ids})`)).length
  }

  // A base backup under load, and a time after it, in the middle of payments.
  const before = town.pay()
  await before.goOn(10)
  const base = await town.backUp()
  await before.goOn(20)
  const target = new Date()
  await before.goOn(20)
  await before.stop()
  await town.archived()
  await town.recover(base, target)
  const kept = before.payments.filter(({ answeredMs }) => answeredMs < target.getTime())
  const undone = before.payments.filter(({ sentMs }) => sentMs > target.getTime())
  expect([kept.length > 20, undone.length > 15]).toEqual([true, true])
  expect([await countOf(kept), await countOf(undone)]).toEqual([kept.length, 0])

  await town.start()
  const after = town.pay()
  await after.goOn(20)
  await after.stop()
  expect((await town.expectEqualBooks()).counts.lost).toBeGreaterThan(15)

  // The disk is lost. What was archived is there, of the second timeline as well.
  const late = town.pay()
  await late.goOn(20)
  const safe = late.payments.slice()
  await town.archived()
  await late.goOn(20)
  await late.stop()
  await town.crash()
  await town.recover(base)
  expect(await countOf(safe)).toBe(safe.length)
  expect(await town.segment()).toStartWith('00000003')
  await town.start()
  const last = town.pay()
  await last.goOn(20)
  await last.stop()
  await town.expectEqualBooks()
  expect(await town.ask('select epoch, cause from ledger_epochs order by epoch')).toMatchObject([
    { epoch: 1, cause: 'first' },
    { epoch: 2, cause: 'detected' },
    { epoch: 3, cause: 'detected' },
  ])
})
