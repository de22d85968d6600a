/** `backup`, `verify` and `restore` as processes, with tools of PostgreSQL where there are some that fit. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { appendFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { findTool } from '../backup/tools'
import { backing, log, type TestDatabase } from '../testing/backing'
import { serviceConfig } from '../testing/stack'
import { startWallet } from '../wallet/service'

const folder = mkdtempSync(join(tmpdir(), 'saldo-backup-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** `PG_BIN` names a folder of them. */
const bin = process.env.PG_BIN
let tools: string | undefined
let database: TestDatabase
let admin: postgres.Sql
beforeAll(async () => {
  const shared = await backing()
  admin = postgres(shared.superuserUrl('postgres'), { max: 1, onnotice: () => {} })
  database = await shared.createDatabase('wallet', 'wallet', true)
  const [server] = await admin`select current_setting('server_version_num')::int as version`
  tools = await findTool('pg_dump', server?.version, bin).catch(() => undefined)
  if (!tools)
    console.log('Dumps are not tested: there is no pg_dump that fits the server; PG_BIN names a folder')
  await admin.unsafe(`alter role ${new URL(database.url).username} createdb`)
})
afterAll(() => admin.end())

async function saldo(...args: string[]) {
  const command = [process.execPath, join(import.meta.dir, 'main.ts'), ...args]
  const env = { PATH: process.env.PATH, SERVICE: 'wallet', DATABASE_URL: database.url }
  const child = Bun.spawn(command, { env, stdout: 'pipe', stderr: 'pipe' })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { out, err, code }
}

const query = async (text: string) => {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} })
  return sql.unsafe(text).finally(() => sql.end())
}

test('without tools that fit the server it says which ones, and how to get them', async () => {
  const { err, code } = await saldo('backup', join(folder, 'none'), '--pg-bin', folder)
  expect([code, err]).toEqual([
    1,
    expect.stringContaining(`there is no pg_dump in ${folder}. Install the client`),
  ])
  expect(existsSync(join(folder, 'none'))).toBe(false)
})

test('an epoch is shown, and started by hand', async () => {
  expect((await saldo('epoch')).out).toBe('Epoch 1 (first), complete\n')
  expect(JSON.parse((await saldo('epoch', '--start', '--json')).out)).toMatchObject({
    ...{ epoch: 2, cause: 'requested', complete: false },
  })
  await query('delete from ledger_epochs where epoch = 2')
})

test('what is backed up is verified, and restored as a new epoch', async () => {
  if (!tools) return
  const own = bin === undefined ? [] : ['--pg-bin', bin]
  const backup = join(folder, 'wallet')
  const { out, code } = await saldo('backup', backup, '--json', ...own)
  expect([code, JSON.parse(out)]).toMatchObject([0, { service: 'wallet', epoch: 1, counts: { entries: 34 } }])
  expect((await saldo('backup', backup, ...own)).err).toContain('is not empty: name a new folder')
  expect(await saldo('verify', backup, ...own)).toMatchObject({
    code: 0,
    out: expect.stringContaining('Sound: wallet as of'),
  })
  expect(await admin`select from pg_database where datname like 'saldo_verify_%'`).toHaveLength(0)

  // Not into a database that is in use, nor over another one unasked.
  const { brokers, topicPrefix } = await backing()
  const config = serviceConfig('wallet', { database, brokers, topicPrefix: topicPrefix(), seed: true })
  const service = await startWallet(config, log)
  expect((await saldo('restore', backup, '--replace', ...own)).err).toContain('stop the wallet service first')
  await service.stop()
  expect((await saldo('restore', backup, ...own)).err).toContain(
    'is not empty. Restore into an empty one, or say',
  )

  await query(`insert into applied_seeds (name) values ('lost')`)
  expect(await saldo('restore', backup, '--replace', ...own)).toMatchObject({ code: 0, err: '' })
  expect(await query(`select from applied_seeds where name = 'lost'`)).toHaveLength(0)
  expect((await saldo('epoch')).out).toBe('Epoch 2 (restored), starting, 0 clients and 0 accounts\n')
  const callable = await query(`
    select proname from pg_proc
    where pronamespace = 'public'::regnamespace and (proacl is null or proacl::text ~ '[{,]=X')`)
  expect([...callable]).toEqual([])
  // With its triggers, and for the service's role again.
  const restored = await startWallet(config, log)
  await restored.stop()
  await expect(query('delete from entries')).rejects.toThrow()

  appendFileSync(join(backup, 'database.dump'), ' ')
  for (const command of ['verify', 'restore'])
    expect((await saldo(command, backup, ...own)).err).toContain('is damaged: database.dump is not what')
})
