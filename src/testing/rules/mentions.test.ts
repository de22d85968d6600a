/** What may be mentioned where: SQL, the environment, the Kafka client, sockets. */
import { expect, test } from 'bun:test'
import { files, imports, isTest, show, textOf } from './source'

const mentions = async (pattern: RegExp, allowed: RegExp): Promise<string[]> => {
  const found: string[] = []
  for (const file of files) {
    if (allowed.test(file) || isTest(file)) continue
    if (pattern.test(await textOf(file))) found.push(file)
  }
  return found
}

test('SQL is written in stores, in platform/postgres and in local servers and tests', async () => {
  const statement = /(sql|tx|admin)(<[^`]*>)?`/
  const allowed = /-store\.ts$|\/(store|db)\/|^platform\/postgres\/|^(local|testing)\//
  expect(await mentions(statement, allowed)).toEqual([])
})

test('the environment is read in config, from what the entry points pass to it', async () => {
  const allowed = /^(main|cli\/main|local\/start)\.ts$|^testing\/|^local\/launch\.cjs$/
  expect(await mentions(/process\.env|Bun\.env/, allowed)).toEqual([])
})

test('no service calls another: a client for the database, one for the broker, and no third', async () => {
  const calls = /(?<![.\w])(fetch|WebSocket|EventSource)\(|Bun\.connect/
  // `isIP` opens nothing. A document may have the word.
  const modules =
    /(?<!import \{ isIP \} )(?:from |\()['"]((node:)?(https?|http2|net|tls)|axios|got|ky|undici)['"]/
  const client = new RegExp(`${calls.source}|${modules.source}`)
  // The supervisor of `npm start` is no service.
  const allowed = /^(local|testing|client|drills|console)\/|^balances\/console\/supervisor\.ts$/
  expect(await mentions(client, allowed)).toEqual([])
})

test('records are decoded where their signature is verified, and sent where they are signed', async () => {
  const reading = /^(contract|reconcile|testing)\/|^balances\/(projection\/topics|seed\/seed)\.ts$/
  expect(await mentions(/\bdecode(Record|From)\b/, reading)).toEqual([])
  const sending = /^(contract|testing)\/|^wallet\/outbox\/relay\.ts$/
  expect(await mentions(/\bcloudEventHeaders\b/, sending)).toEqual([])
})

test('kafkajs is used in platform/kafka, and its inner modules in one file of it', () => {
  const elsewhere = imports.filter(({ from, to, typesOnly }) => {
    if (!/^kafkajs($|\/)/.test(to) || isTest(from) || /^(testing|local\/broker)\//.test(from)) return false
    if (to !== 'kafkajs') return from !== 'platform/kafka/kafkajs-internals.ts'
    return !typesOnly && !from.startsWith('platform/kafka/')
  })
  expect(elsewhere.map(show)).toEqual([])
})

test('the contract imports TypeBox and, for signatures, node:crypto; the domain nothing at all', () => {
  const foreign = imports.filter(({ from, to }) => {
    if (isTest(from) || /\.(c?ts|json)$/.test(to)) return false
    if (from.startsWith('wallet/domain/')) return true
    if (from === 'contract/wire/signature.ts' && to === 'node:crypto') return false
    return from.startsWith('contract/') && !to.startsWith('@sinclair/typebox')
  })
  expect(foreign.map(show)).toEqual([])
})
