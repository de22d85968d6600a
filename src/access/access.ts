/** The access of a service: its keys, the guard before its routes, and the part that keeps keys current. */
import { SetupError } from '../platform/fault'
import type { Guard } from '../platform/http/guard'
import type { Statements } from '../platform/postgres/statements'
import { every, type Part } from '../platform/process/service'
import type { Log } from '../platform/telemetry/log'
import { createGuard, withoutKeys } from './guard'
import { type KeyEntry, KeyRing, staleMaxMs } from './key-ring'
import { listKeys, noteUse } from './keys-store'
import { type AuthMode, decideStart, type Needed } from './policy'
import { createRateLimits, type RateLimitOptions } from './rate-limits'
import { createRestrict, type OwnerOf } from './restriction'

export type AccessOptions = {
  config: {
    service: string
    host: string
    auth: AuthMode
    apiKeys: readonly KeyEntry[]
    rateLimits: RateLimitOptions
  }
  sql: Statements
  ownerOf: OwnerOf
  log: Log
}

export type Access = {
  guard: Guard
  /** For which routes a request needs a key now; undefined before the start. */
  needed: () => Needed | undefined
  /** Once the database is ready. Throws `SetupError` where the service must not start. */
  start(): Promise<void>
  part: Part
}

/** A revocation takes effect within this time and that of a query, in milliseconds. */
const everyMs = 2000

export function createAccess({ config, sql, ownerOf, log }: AccessOptions): Access {
  const { auth, apiKeys: entries } = config
  let needed: Needed | undefined
  let hadKeys = false
  const locking = new AbortController()
  const limits = createRateLimits(config.rateLimits)
  const keys = new KeyRing({ entries, read: () => listKeys(sql), restrict: createRestrict(ownerOf) })

  const readAgain = async () => {
    await keys.readAgain()
    await keys.noteUses((ids) => noteUse(sql, ids))
    if (hadKeys || keys.size === 0) return
    hadKeys = true
    if (auth === 'off') log.error({}, 'there is an API key now, which AUTH=off does not check')
    // The first key locks the door, for as long as the process runs.
    if (auth !== undefined) return
    needed = 'all'
    locking.abort()
    log.info({}, 'there is an API key now: requests need one')
  }

  return {
    guard:
      auth === 'off'
        ? withoutKeys
        : createGuard({ keys, needed: () => needed, locked: locking.signal, limits }),
    needed: () => needed,
    async start() {
      await keys.readAgain()
      hadKeys = keys.size > 0
      const decision = decideStart({ ...config, hasKeys: hadKeys })
      if (decision.needed === undefined) throw new SetupError(decision.refusal)
      needed = decision.needed
      log[decision.level]({ auth: auth ?? 'unset', keys: keys.size }, decision.message)
    },
    part: {
      ...every(everyMs, 'api_keys', readAgain),
      failure: 'reading API keys failed',
      health() {
        const seconds = Math.round(keys.ageMs / 1000)
        if (keys.ageMs < 5 * everyMs) return { status: 'pass' }
        const output = `API keys were last read ${seconds} s ago`
        return { status: keys.ageMs > staleMaxMs ? 'fail' : 'warn', output }
      },
    },
  }
}
