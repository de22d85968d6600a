/** The read model without the service, for tests that write entries themselves. */
import { applyProjection } from '../balances/projection/apply-store'
import type { BalanceRow, EntryRow } from '../balances/projection/types'
import { openDatabase } from '../platform/postgres/database'
import type { Statements } from '../platform/postgres/statements'
import { createLog } from '../platform/telemetry/log'
import { backing } from './backing'

export const log = createLog({ service: 'test', level: 'error', format: 'json' })

const createdAt = '2024-01-27T17:13:55.000Z'

/** An entry of 0.01 whose balance in cents equals its version. */
export const entryOf = (version: number, accountId = 'eva'): EntryRow => ({
  accountId,
  version: BigInt(version),
  amountMinor: 1n,
  balanceMinor: BigInt(version),
  heldMinor: 0n,
  status: null,
  overdraftLimitMinor: null,
  transactionId: null,
  holdId: null,
  counterpartyId: null,
  actor: null,
  effectiveAt: null,
  createdAt,
})

export async function openReadModel() {
  const shared = await backing()
  const { name, url } = await shared.createDatabase('balances', 'balances')
  const { sql, close } = openDatabase({ url, poolMax: 4, prepare: true, applicationName: 'test' })
  return {
    sql,
    /** Applies entries of an account with these versions, in one batch. */
    async record(
      versions: readonly number[],
      { accountId = 'eva', on = sql }: { accountId?: string; on?: Statements } = {},
    ) {
      const entries = versions.map((version) => entryOf(version, accountId))
      const newest = entries.toSorted((one, other) => Number(other.version - one.version)).slice(0, 1)
      const balances = newest.map(
        ({ version, balanceMinor, heldMinor }): BalanceRow => ({
          accountId,
          clientId: null,
          currency: 'BRL',
          balanceMinor,
          heldMinor,
          status: 'open',
          overdraftLimitMinor: null,
          openingLimitMinor: null,
          version,
          source: null,
          opened: false,
          createdAt,
          updatedAt: createdAt,
        }),
      )
      await applyProjection(on, (tx) => tx`select true`, { balances, entries, clients: [], deadLetters: [] })
    },
    cutConnections: () => shared.cutConnections(name),
    [Symbol.asyncDispose]: () => close(),
  }
}
