/** The owners of accounts, for keys that are restricted to a client. */
import { consistencyToken } from '../../contract/headers'
import type { Consistency } from '../freshness/read-your-writes'
import type { Reads } from '../queries/queries'
import { parseToken, waitSeconds } from './consistent-reads'
import { canExist } from './values'

/**
 * The client of an account. For an account that is not here yet it waits as the read itself would: where the
 * request has a token that names it.
 */
export const findOwnerIn =
  (reads: Pick<Reads, 'balance'>, consistency: Pick<Consistency, 'waitForVersions'>) =>
  async (accountId: string, request: Request): Promise<string | null | undefined> => {
    if (!canExist(accountId)) return undefined
    const find = async () => (await reads.balance(accountId))?.clientId
    const owner = await find()
    const version = owner ? undefined : versionIn(request, accountId)
    if (version === undefined) return owner
    const waitMs = 1000 * waitSeconds(request)
    await consistency.waitForVersions(new Map([[accountId, version]]), { waitMs, signal: request.signal })
    return find()
  }

function versionIn({ headers }: Request, accountId: string): bigint | undefined {
  const token = headers.get(consistencyToken.name)
  return token === null ? undefined : parseToken(token).get(accountId)
}
