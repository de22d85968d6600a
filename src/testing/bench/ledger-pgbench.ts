/**
 * The same transfer without a service: the rate that pgbench reaches with one commit per transfer.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type postgres from 'postgres'
import { accountId } from './ledger-accounts.ts'

/** The server allows 200, and others need some. */
const connectionsMax = 150

const prefix = accountId(0).slice(0, 24)
const first = accountId(0).slice(24)

/** Two different accounts with equal probability. */
const draw = (accounts: number) => `
\\set from random(1, ${accounts})
\\set other random(1, ${accounts - 1})
\\set to case when :other < :from then :other else :other + 1 end
\\set from :from + ${first}
\\set to :to + ${first}`

/** About as long as the events of the wallet. */
const accountFields = '"account_id_from": "%s", "account_id_to": "%s", "amount": 1, "currency": "BRL"'
const timeFields = '"effective_at": "%s", "created_at": "%s"'
const created =
  `{"Name": "TransactionCreated", "Payload": {"id": "%s", ${accountFields}, ` +
  `"kind": "transfer", ${timeFields}}}`
const updated =
  `{"Name": "BalanceUpdated", "Payload": {"transaction_id": "%s", ${accountFields}, ` +
  '"balance_account_id_from": %s, "balance_account_id_to": %s, ' +
  `"version_account_id_from": %s, "version_account_id_to": %s, ${timeFields}}}`

const [from, to] = [`('${prefix}' || :from)::uuid`, `('${prefix}' || :to)::uuid`]

/**
 * Bodies of pgbench scripts. Transfers lock the two accounts in the order of their ids, to avoid
 * deadlocks.
 */
const scripts = {
  'single statements': (accounts: number) => `${draw(accounts)}
begin;
select id, balance_minor, version from accounts where id in (${from}, ${to}) order by id for update;
update accounts set balance_minor = balance_minor - 100, version = version + 1, updated_at = now()
where id = ${from}
returning balance_minor as balance, version as version \\gset from_
update accounts set balance_minor = balance_minor + 100, version = version + 1, updated_at = now()
where id = ${to}
returning balance_minor as balance, version as version \\gset to_
insert into transactions (id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor,
currency, effective_at, created_at)
values (uuidv7(), 'transfer', ${from}, ${to}, :from_version, :to_version, 100, 'BRL', now(), now())
returning id \\gset
insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at)
values (${from}, :from_version, :id, -100, :from_balance, now()),
(${to}, :to_version, :id, 100, :to_balance, now());
insert into bench_outbox (aggregatetype, aggregateid, type, payload, subject, occurred_at) values
('transactions', ${from}::text, 'TransactionCreated',
format('${created}', :id::text, ${from}, ${to}, now(), now()), :id::text, now()),
('balances', ${from}::text, 'BalanceUpdated', format('${updated}', :id::text, ${from}, ${to},
:from_balance::bigint, :to_balance::bigint, :from_version::bigint, :to_version::bigint, now(), now()),
:id::text, now());
commit;
`,
  'one function': (accounts: number) => `${draw(accounts)}
select bench_transfer(${from}, ${to});
`,
  'one-row commit': () => 'insert into bench_rows default values;\n',
} as const
export type Script = keyof typeof scripts

/**
 * Creates what the scripts need besides accounts, transactions and entries. Their outbox has a row for
 * each event.
 */
export async function preparePgbench(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(`
    create table bench_outbox (
      id bigint primary key generated always as identity, aggregatetype text not null,
      aggregateid text not null, type text not null, payload text not null, subject text not null,
      traceparent text, occurred_at timestamptz(3) not null, created_at timestamptz(3) not null default now()
    );
    create table bench_rows (
      id bigint generated always as identity primary key, created_at timestamptz not null default now()
    );
    create function bench_transfer(id_from uuid, id_to uuid) returns uuid language plpgsql as $$
    declare
      from_ record;
      to_ record;
      new_id uuid := uuidv7();
    begin
      perform 1 from accounts where id in (id_from, id_to) order by id for update;
      update accounts set balance_minor = balance_minor - 100, version = version + 1, updated_at = now()
      where id = id_from returning balance_minor as balance, version into from_;
      update accounts set balance_minor = balance_minor + 100, version = version + 1, updated_at = now()
      where id = id_to returning balance_minor as balance, version into to_;
      insert into transactions (id, kind, account_id_from, account_id_to, version_from, version_to,
        amount_minor, currency, effective_at, created_at)
      values (new_id, 'transfer', id_from, id_to, from_.version, to_.version, 100, 'BRL', now(), now());
      insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at)
      values (id_from, from_.version, new_id, -100, from_.balance, now()),
        (id_to, to_.version, new_id, 100, to_.balance, now());
      insert into bench_outbox (aggregatetype, aggregateid, type, payload, subject, occurred_at) values
        ('transactions', id_from, 'TransactionCreated',
          format('${created}', new_id, id_from, id_to, now(), now()), new_id, now()),
        ('balances', id_from, 'BalanceUpdated', format('${updated}', new_id, id_from, id_to,
          from_.balance, to_.balance, from_.version, to_.version, now(), now()), new_id, now());
      return new_id;
    end
    $$;`)
}

type Run = {
  script: Script
  url: string
  directory: string
  connections: number
  accounts: number
  ms: number
}

export async function runPgbench({ script, url, directory, connections, accounts, ms }: Run) {
  const folder = join(directory, 'pgbench')
  mkdirSync(folder)
  try {
    writeFileSync(join(folder, 'script'), scripts[script](accounts))
    const { hostname, port, username, password, pathname } = new URL(url)
    const child = Bun.spawn(
      [
        ...[
          'pgbench',
          '-n',
          '-M',
          'prepared',
          '-f',
          'script',
          '-l',
          '-T',
          String(Math.ceil(ms / 1000)),
          '-j',
          '1',
        ],
        ...['-c', String(Math.min(connections, connectionsMax)), '-h', hostname, '-p', port, '-U', username],
        pathname.slice(1),
      ],
      {
        cwd: folder,
        env: { PATH: process.env.PATH, PGPASSWORD: password },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      },
    )
    const [output, complaints] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    const done = Number(/actually processed: (\d+)/.exec(output)?.[1])
    const perSecond = Number(/tps = ([\d.]+)/.exec(output)?.[1])
    if (!perSecond || !/failed transactions: 0 /.test(output))
      throw new Error(`pgbench failed: ${output}${complaints}`)
    const latencies = readdirSync(folder)
      .filter((name) => name.startsWith('pgbench_log'))
      .flatMap((name) => readFileSync(join(folder, name), 'latin1').trim().split('\n'))
      .map((line) => Number(line.split(' ')[2]) / 1000)
      .sort((left, right) => left - right)
    const part = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
    return { done, perSecond, p50: part(0.5), p99: part(0.99) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
