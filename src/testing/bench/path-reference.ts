/**
 * R, the yardstick of the whole path: the same transfer as eight statements, by 32 pgbench clients,
 * on a fresh database of the same PostgreSQL. Its tables are its own and stay as they are, so that R
 * of two versions can be compared.
 */
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { accountId, accountsMax, connect } from './ledger-accounts.ts'
import { preparePgbench, runPgbench } from './ledger-pgbench.ts'
import { postgresMicrosOf } from './processes.ts'

const clients = 32
const owner = { user: 'bench', password: 'bench' }

export type Reference = {
  measure(ms: number): Promise<{ perSecond: number; micros: number }>
  stop(): Promise<void>
}

/** Undefined without pgbench on PATH. */
export async function startReference(directory: string): Promise<Reference | undefined> {
  if (!Bun.which('pgbench')) {
    console.log('pgbench is not on PATH: there is no R to compare with')
    return undefined
  }
  const dataDir = join(directory, 'reference')
  const server = await startPostgres({ dataDir, databases: [{ name: 'template', ...owner }] })
  const admin = connect(server.adminUrl)
  // pgbench reconnects in every turn: keep the cost of its password check low.
  await admin`set scram_iterations = 1`
  await admin.unsafe(`alter role ${owner.user} password '${owner.password}'`)
  const sql = connect(server.url('template'))
  await createTables(sql)
  await sql.end()
  const url = server.url('template').replace(/template$/, 'reference')
  return {
    async measure(ms) {
      await admin`drop database if exists reference`
      await admin`create database reference template template owner bench`
      await admin`checkpoint`
      const run = { script: 'single statements', url, directory, connections: clients } as const
      const begun = postgresMicrosOf(server.pid)
      const { perSecond, done } = await runPgbench({ ...run, accounts: accountsMax, ms })
      return { perSecond, micros: (postgresMicrosOf(server.pid) - begun) / done }
    },
    async stop() {
      await admin.end()
      await server.stop()
    },
  }
}

async function createTables(sql: ReturnType<typeof connect>): Promise<void> {
  await sql.unsafe(`
    create table accounts (
      id uuid primary key, currency text not null, balance_minor bigint not null, version bigint not null,
      created_at timestamptz(3) not null, updated_at timestamptz(3) not null,
      check (balance_minor >= 0)
    );
    create table transactions (
      id uuid primary key, kind text not null, account_id_from uuid not null, account_id_to uuid not null,
      version_from bigint not null, version_to bigint not null, amount_minor bigint not null,
      currency text not null, effective_at timestamptz(3) not null, created_at timestamptz(3) not null,
      check (account_id_from <> account_id_to), check (amount_minor > 0)
    );
    create table entries (
      account_id uuid not null, version bigint not null, transaction_id uuid not null,
      amount_minor bigint not null, balance_minor bigint not null, created_at timestamptz(3) not null,
      primary key (account_id, version)
    );
    insert into accounts
    select ('${accountId(0).slice(0, 24)}' || (${accountId(0).slice(24)} + number))::uuid, 'BRL', 100000000,
      0, now(), now()
    from generate_series(1, ${accountsMax}) as number`)
  await preparePgbench(sql)
  await sql`vacuum analyze`
}
