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
  readonly #versions = new Map<string, { version: number; epoch: number }>()
  /** The newest of a token: bodies do not have it. */
  #epoch = 1

  /** Keeps the higher version of each account of a token. */
  add(token: string): void {
    for (const part of token.split(',')) {
      const at = part.lastIndexOf(':')
      const [version = '', epoch = 1] = part.slice(at + 1).split('@')
      if (at > 0) this.#keep(part.slice(0, at).trim(), Number(version || Number.NaN), Number(epoch))
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

  #keep(id: string, version: number, epoch = this.#epoch): void {
    if (!Number.isSafeInteger(version) || !Number.isSafeInteger(epoch)) return
    this.#epoch = Math.max(this.#epoch, epoch)
    const account = canonical(id)
    const before = this.#versions.get(account)
    // A later epoch of the ledger is later than any version of an earlier one.
    const isNewer = !before || before.epoch < epoch || (before.epoch === epoch && before.version < version)
    this.#versions.delete(account)
    this.#versions.set(account, isNewer ? { version, epoch } : before)
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

  #format(versions: [string, { version: number; epoch: number }][]): string {
    return versions
      .map(([account, { version, epoch }]) => `${account}:${version}${epoch > 1 ? `@${epoch}` : ''}`)
      .join()
  }
}

/** UUIDs are the same in either letter case; other ids are not. */
const canonical = (id: string): string => (/^[0-9a-f-]{36}$/i.test(id) ? id.toLowerCase() : id)
