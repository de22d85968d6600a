/** Keys that may be used for some accounts only, or for those of one client. */
import { canonicalId } from '../contract/id'
import type { Restriction, Subject } from '../platform/http/principal'

/** The client of an account. Undefined or null where that is not known, or there is none. */
export type OwnerOf = (accountId: string, request: Request) => Promise<string | null | undefined>

/** Owners remembered: they never change. */
const ownersMax = 10_000

/** Makes the restriction of a key, if it has one. */
export function createRestrict(ownerOf: OwnerOf) {
  const owners = new Map<string, string>()

  const rememberedOwnerOf: OwnerOf = async (accountId, request) => {
    const known = owners.get(accountId)
    if (known !== undefined) return known
    const owner = await ownerOf(accountId, request)
    if (owners.size >= ownersMax) owners.clear()
    if (owner) owners.set(accountId, owner)
    return owner
  }

  return ({
    accountIds,
    clientId,
  }: {
    accountIds: readonly string[] | null
    clientId: string | null
  }): Restriction | undefined => {
    if (accountIds === null && clientId === null) return undefined
    const accounts = new Set(accountIds?.map(canonicalId))
    const client = clientId && canonicalId(clientId)
    const allows = async (subject: Subject, request: Request): Promise<boolean> => {
      if (subject.anyOf) {
        for (const one of subject.anyOf) if (await allows(one, request)) return true
        return false
      }
      if (subject.client !== undefined) return canonicalId(subject.client) === client
      const account = canonicalId(subject.account)
      return (
        accounts.has(account) || (client !== null && (await rememberedOwnerOf(account, request)) === client)
      )
    }
    return { allows }
  }
}
