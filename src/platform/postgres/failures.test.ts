import { expect, test } from 'bun:test'
import { DrizzleQueryError } from 'drizzle-orm'
import postgres from 'postgres'
import { databaseFailure, databaseFault, isDataRefused, isRetryable } from './failures'

const refusal = (code: string) => new postgres.PostgresError({ code, message: 'refused' } as never)
const failing = (code: string) => Object.assign(new Error('write'), { code })

test.each([
  ['connection_lost', '08000 08001 08003 08004 08006 08P01 40003 57P01 57P02 57P03 57P05 25P03 25P04 53300'],
  ['unavailable', '53000 53100 53200 53400 57014 57P04 58000 58030 58P01 XX000 XX001 XX002'],
  ['unavailable', '25006 28000 28P01 3D000 42501 55000 55006'],
  ['contention', '40001 40P01 55P03'],
  ['data_refused', '22001 22003 22P02 22021 23502 23505 23514 54000 54001'],
  [undefined, '42601 42P01 42703 42883 0A000 25P02 P0001'],
] as const)('%p: %s', (failure, states) => {
  for (const state of states.split(' ')) {
    const wrapped = new DrizzleQueryError('select', [], refusal(state))
    expect([state, databaseFailure(refusal(state)), databaseFailure(wrapped)]).toEqual([
      state,
      failure,
      failure,
    ])
    expect(isDataRefused(wrapped)).toBe(failure === 'data_refused')
    expect(isRetryable(wrapped)).toBe(failure !== undefined && failure !== 'data_refused')
    expect(databaseFault(wrapped)?.code).toBe(isRetryable(wrapped) ? 'database_unavailable' : undefined)
  }
})

test.each(
  [
    'CONNECTION_CLOSED CONNECTION_ENDED CONNECTION_DESTROYED CONNECT_TIMEOUT ANSWER_TIMEOUT',
    'FailedToOpenSocket ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ENOTFOUND EAI_AGAIN ETIMEDOUT',
    'EHOSTUNREACH ENETUNREACH EMFILE',
    'ERR_TLS_CERT_ALTNAME_INVALID CERT_HAS_EXPIRED DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN',
  ].flatMap((codes) => codes.split(' ')),
)('%s means a lost or refused connection', (code) => {
  expect(databaseFailure(failing(code))).toBe('connection_lost')
})

test('any other error is not the database’s', () => {
  for (const thrown of [
    new Error('a bug'),
    new TypeError('another'),
    failing('ENOENT'),
    failing('UNSAFE'),
    'text',
    null,
  ])
    expect([databaseFailure(thrown), databaseFault(thrown)]).toEqual([undefined, undefined])
})
