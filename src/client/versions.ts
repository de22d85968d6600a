/** The versions of accounts that this client wrote, so that a later read is never older. */

/** Accounts that are remembered; beyond them, those written longest ago are forgotten. */
const accountsMax = 1000
/** As many as the balances service takes in one token. */
const tokenAccountsMax = 100

type Transaction = {
  account_id_from?: string
  account_id_to?: string
  version_account_id_from?: number
  version_account_id_to?: number
}

export class Versions {
  /** The one written last is the last. */
  readonly #versions = new Map<string, number>()

  /** Keeps the higher version of each account of a token. */
  add(token: string): void {
    for (const part of token.split(',')) {
      const at = part.lastIndexOf(':')
      if (at > 0) this.#keep(part.slice(0, at).trim(), Number(part.slice(at + 1)))
    }
  }

  /** What the answer to a write says beside its token: batches have none, nor has a new account. */
  learn(body: unknown): void {
    if (typeof body !== 'object' || body === null) return
    const { id, version, balance, results, transaction, postings } = body as Record<string, unknown>
    if (typeof id === 'string' && typeof version === 'number' && balance !== undefined)
      this.#keep(id, version)
    for (const part of [results, postings, transaction].flat()) this.learn(part)
    const sides = body as Transaction
    if (sides.version_account_id_from !== undefined)
      this.#keep(sides.account_id_from ?? '', sides.version_account_id_from)
    if (sides.version_account_id_to !== undefined)
      this.#keep(sides.account_id_to ?? '', sides.version_account_id_to)
  }

  #keep(id: string, version: number): void {
    const account = canonical(id)
    const highest = Math.max(version, this.#versions.get(account) ?? 0)
    this.#versions.delete(account)
    if (Number.isSafeInteger(highest)) this.#versions.set(account, highest)
    for (const [first] of this.#versions) {
      if (this.#versions.size <= accountsMax) break
      this.#versions.delete(first)
    }
  }

  /** The token for a read of one account, or for one of any accounts; undefined where none is needed. */
  tokenFor(id: string | undefined): string | undefined {
    const all = [...this.#versions]
    const account = id && canonical(id)
    const concerned = id === undefined ? all.slice(-tokenAccountsMax) : all.filter(([one]) => one === account)
    return this.#format(concerned) || undefined
  }

  clear(): void {
    this.#versions.clear()
  }

  toString(): string {
    return this.#format([...this.#versions])
  }

  #format(versions: [string, number][]): string {
    return versions.map(([account, version]) => `${account}:${version}`).join()
  }
}

/** UUIDs are the same in either letter case; other ids are not. */
const canonical = (id: string): string => (/^[0-9a-f-]{36}$/i.test(id) ? id.toLowerCase() : id)
