/** What has to hold after a load: nothing lost, nothing twice, and both sides equal. */
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { eventually } from '../eventually.ts'
import { findFaults } from '../ledger-faults.ts'
import type { Load } from './load.ts'
import type { Settings } from './replica.ts'

/** Checks by name; each throws with what is wrong. */
export const verdictOn = (means: {
  load: Load
  settings: Settings
  wallet: Sql
  balances: Sql
}): [string, () => Promise<unknown>][] => [
  ['every accepted transaction is in the ledger, once', () => checkAccepted(means)],
  ['the ledger is sound: sums, versions, holds, keys', () => checkLedger(means.wallet)],
  ['the read side has every account as the ledger has it', () => checkReadSide(means)],
  ['reconcile finds no difference', () => checkReconcile(means.settings)],
]

async function checkAccepted({ load, wallet }: { load: Load; wallet: Sql }) {
  const rows = await wallet<{ id: string }[]>`select distinct id from transactions`
  const ids = new Set(rows.map(({ id }) => id))
  const lost = [...load.accepted.keys()].filter((id) => !ids.has(id))
  if (lost.length > 0) throw new Error(`${lost.length} are missing, such as ${lost[0]}`)
  const keys = new Set(load.accepted.values()).size
  if (keys !== load.accepted.size) throw new Error(`${load.accepted.size} transactions of ${keys} requests`)
}

async function checkLedger(wallet: Sql) {
  const faults = await findFaults(wallet)
  if (faults.length > 0) throw new Error(faults.join('\n'))
}

async function checkReadSide({ wallet, balances }: { wallet: Sql; balances: Sql }) {
  await eventually(async () => {
    const [ledger] = await wallet`
      select md5(string_agg(concat_ws(' ', id, balance_minor, held_minor, version), ',' order by id::text))
        as digest, count(*)::int as accounts, sum(version)::int as versions
      from accounts where version > 0`
    const [model] = await balances`
      select md5(string_agg(concat_ws(' ', account_id, balance_minor, held_minor, version), ','
          order by account_id)) as digest, count(*)::int as accounts, sum(version)::int as versions
      from balances where version > 0`
    if (!ledger?.digest || ledger.digest !== model?.digest)
      throw new Error(`the ledger has ${JSON.stringify(ledger)}, the read side ${JSON.stringify(model)}`)
  })
  const letters = await balances`select cause, detail from dead_letters limit 5`
  if (letters.length > 0) throw new Error(`dead letters: ${JSON.stringify(letters)}`)
}

async function checkReconcile({ databases, brokers, topicPrefix }: Settings) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, '../../cli/main.ts'), 'reconcile'], {
    env: {
      WALLET_DATABASE_URL: databases.wallet.url,
      BALANCES_DATABASE_URL: databases.balances.url,
      KAFKA_BROKERS: brokers,
      KAFKA_TOPIC_PREFIX: topicPrefix,
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [report, complaints] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  const code = await child.exited
  if (code !== 0) throw new Error(`exit code ${code}\n${report}${complaints}`)
}
