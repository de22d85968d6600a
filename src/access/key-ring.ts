/**
 * The API keys of a service, in memory: those of its configuration, and those of its database, read again
 * every few seconds.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Principal, Restriction } from '../platform/http/principal'
import type { Scope } from '../platform/http/scope'
import { pause } from '../platform/process/retry'
import type { StoredKey } from './keys-store'

/** A key of the configuration: what `saldo keys create --entry-file` writes. */
export type KeyEntry = Pick<
  StoredKey,
  'id' | 'name' | 'hash' | 'scopes' | 'accountIds' | 'clientId' | 'expiresAt'
>

export type Key = {
  readonly principal: Principal
  readonly scopes: ReadonlySet<Scope>
  readonly state: 'valid' | 'revoked' | 'expired'
}

export type KeyRingOptions = {
  entries: readonly KeyEntry[]
  read: () => Promise<StoredKey[]>
  restrict: (key: Pick<KeyEntry, 'accountIds' | 'clientId'>) => Restriction | undefined
  /** Milliseconds since 1970, and of a clock that only goes forward; for tests. */
  now?: () => number
  elapsed?: () => number
}

/**
 * How long keys are valid as they were read last while the database cannot be read. A key may be revoked
 * without the service knowing.
 */
export const staleMaxMs = 60_000
/** Reads begin this far apart at least, however many requests bring keys that are not known yet. */
const spacingMs = 250
const dayMs = 86_400_000

export class KeyRing {
  readonly #options: Required<KeyRingOptions>
  #byHash = new Map<string, HeldKey>()
  readonly #used = new Set<HeldKey>()
  /** How far the clock of the database is ahead. */
  #aheadMs = 0
  #begunAt = Number.NEGATIVE_INFINITY
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<unknown> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(options: KeyRingOptions) {
    this.#options = { now: Date.now, elapsed: () => performance.now(), ...options }
  }

  /** Of all keys, those included that are not valid any more. */
  get size(): number {
    return this.#byHash.size
  }

  /** Since the keys were read. Infinite before that. */
  get ageMs(): number {
    return this.#options.elapsed() - this.#readAt
  }

  /** By the hash of its token. */
  find(hash: string): Key | undefined {
    const key = this.#byHash.get(hash)
    // The hashes are compared in constant time as well; whose they are, the look-up has decided.
    return key && timingSafeEqual(key.digest, Buffer.from(hash, 'hex')) ? key : undefined
  }

  /** A read that begins after the call, and after any that is under way. Throws what the read throws. */
  readAgain(): Promise<void> {
    this.#next ??= this.#reading
      .then(() => pause(Math.max(0, this.#begunAt + spacingMs - this.#options.elapsed())))
      .then(() => {
        this.#next = undefined
        const reading = this.#read()
        this.#reading = reading.catch(() => {})
        return reading
      })
    return this.#next
  }

  async #read(): Promise<void> {
    const { entries, read, restrict, now, elapsed } = this.#options
    this.#begunAt = elapsed()
    const rows = await read()
    const [row] = rows
    if (row) this.#aheadMs = Date.parse(row.readAt) - now()
    const clock = () => now() + this.#aheadMs
    const before = this.#byHash
    this.#byHash = new Map()
    for (const known of [...entries, ...rows]) {
      const key = before.get(known.hash) ?? new HeldKey(known, restrict(known), clock)
      key.update(known)
      this.#byHash.set(known.hash, key)
    }
    for (const [hash, key] of before) if (!this.#byHash.has(hash)) key.end()
    for (const key of this.#byHash.values()) if (key.state !== 'valid') key.end()
    this.#readAt = elapsed()
  }

  use(key: Key): void {
    if (key instanceof HeldKey && key.isFirstUse()) this.#used.add(key)
  }

  /** Passes on the ids of keys in the database that were used for the first time on a day. */
  async noteUses(note: (ids: string[]) => Promise<void>): Promise<void> {
    const used = [...this.#used]
    if (used.length === 0) return
    await note(used.map(({ principal }) => principal.keyId))
    for (const key of used) this.#used.delete(key)
  }
}

/** Those of the configuration have neither. */
type KnownKey = KeyEntry & Partial<Pick<StoredKey, 'revokedAt' | 'lastUsedOn'>>

class HeldKey implements Key {
  readonly principal: Principal
  readonly scopes: ReadonlySet<Scope>
  readonly digest: Buffer
  readonly #clock: () => number
  readonly #ending = new AbortController()
  #known: KnownKey
  #expiresAtMs = Number.POSITIVE_INFINITY
  /** In days since 1970. */
  #usedOn: number

  constructor(known: KnownKey, restriction: Restriction | undefined, clock: () => number) {
    const { id: keyId, name, scopes, hash, lastUsedOn } = known
    this.principal = { keyId, name, restriction, ended: this.#ending.signal }
    this.scopes = new Set(scopes)
    this.digest = Buffer.from(hash, 'hex')
    this.#clock = clock
    this.#usedOn = lastUsedOn ? Date.parse(lastUsedOn) / dayMs : 0
    this.#known = known
  }

  /** What may change of a key: when it ends. */
  update(known: KnownKey): void {
    this.#known = known
    this.#expiresAtMs = known.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(known.expiresAt)
  }

  get state(): Key['state'] {
    if (this.#known.revokedAt) return 'revoked'
    return this.#clock() < this.#expiresAtMs ? 'valid' : 'expired'
  }

  end(): void {
    this.#ending.abort()
  }

  isFirstUse(): boolean {
    const today = Math.floor(this.#clock() / dayMs)
    if (this.#known.lastUsedOn === undefined || today <= this.#usedOn) return false
    this.#usedOn = today
    return true
  }
}
