/** Clients and accounts to be republished, in pages. */
import { and, eq, gt, gte, inArray, or, sum } from 'drizzle-orm'
import { nilUuid } from '../../contract/id'
import type { Database } from '../../platform/postgres/database'
import { pagesOf } from '../../platform/postgres/statements'
import { accounts, clients, clientVersions } from '../db/schema'
import type { Account } from '../domain/account'
import type { ClientVersion } from '../events'

/** One account or all, changed at a time or later. */
export type AccountFilter = { accountId: string | undefined; since: Date }

/** More than wallet clocks differ by: an account's last change may have an earlier time than one before. */
const skewMs = 600_000

const matches = ({ accountId, since }: AccountFilter) =>
  and(
    gte(accounts.updatedAt, new Date(since.getTime() - skewMs)),
    accountId ? eq(accounts.id, accountId) : undefined,
  )

/** By id. May include accounts that changed some minutes before. */
export const accountPages = ({ orm }: Database, filter: AccountFilter, size: number) =>
  pagesOf<Account>((after, limit) => {
    const isNext = and(gt(accounts.id, after?.id ?? nilUuid), matches(filter))
    return orm.select().from(accounts).where(isNext).orderBy(accounts.id).limit(limit)
  }, size)

export async function countEntries({ orm }: Database, filter: AccountFilter): Promise<number> {
  const [row] = await orm
    .select({ entries: sum(accounts.version) })
    .from(accounts)
    .where(matches(filter))
  return Number(row?.entries ?? 0)
}

export type PastClient = ClientVersion & { isNewest: boolean }

/**
 * All versions that were written at a time or later, by client and version. With an account, only of its
 * owner.
 */
export function clientPages({ orm }: Database, { accountId, since }: AccountFilter, size: number) {
  const owner = accountId
    ? orm.select({ id: accounts.clientId }).from(accounts).where(eq(accounts.id, accountId))
    : undefined
  const { clientId, version } = clientVersions
  return pagesOf<PastClient>(async (last, limit) => {
    const after = last?.client ?? { id: nilUuid, version: 0n }
    const isNext = or(gt(clientId, after.id), and(eq(clientId, after.id), gt(version, after.version)))
    const rows = await orm
      .select({ past: clientVersions, client: clients })
      .from(clientVersions)
      .innerJoin(clients, eq(clients.id, clientId))
      .where(and(isNext, gte(clientVersions.createdAt, since), owner && inArray(clientId, owner)))
      .orderBy(clientId, version)
      .limit(limit)
    return rows.map(({ past, client: { actor, createdAt, version: newest } }) => {
      const { id: changeId, clientId: id, createdAt: updatedAt, version, isErasure } = past
      const changedActor = version > 1n ? past.actor : null
      const erasedAt = isErasure ? updatedAt : null
      return {
        changeId,
        client: { id, version, actor, changedActor, createdAt, updatedAt, erasedAt },
        isNewest: version === newest,
      }
    })
  }, size)
}
