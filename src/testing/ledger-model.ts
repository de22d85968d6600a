/**
 * A plain model of the ledger: balances, open holds and payments. Tests compare the responses of the
 * wallet with it. It shares no code with the wallet, so that a bug would have to be made twice to go
 * unseen.
 */

export type Refusal = { status: number; code: string }
export type Note = { reference: string | null; metadata: object | null; effective_at: string | null }
export type Payment = {
  kind: 'transfer' | 'deposit' | 'withdrawal'
  from: string
  to: string
  amount: bigint
  currency: string
  note: Note
}
/** Several payments that are one transaction. */
export type Posted = {
  /** Empty until the wallet has returned it. */
  id: string
  legs: Paid[]
  note: Note
  isTakenBack: boolean
  reverses: string | null
  /** Effective time in milliseconds, once the wallet has returned it. */
  effective: number
}
export type Paid = {
  /** Empty until the wallet has returned it. */
  id: string
  kind: Payment['kind'] | 'capture' | 'reversal'
  from: string
  to: string
  amount: bigint
  note: Note
  /** How much of it was reversed since. */
  takenBack: bigint
  reverses: string | null
  hold: string | null
  versions: [from: number, to: number]
  /** Effective time in milliseconds, once the wallet has returned it. */
  effective: number
}
export type Promised = {
  id: string
  from: string
  to: string
  amount: bigint
  note: Note
  status: 'placed' | 'captured' | 'released' | 'expired'
  /** Past its expiry, whether or not the wallet has expired it. */
  late: boolean
  captured: bigint | null
  paidBy: Paid | null
  version: number
  /** Creation time and expiry in milliseconds, once the wallet has returned them. */
  placed: number
  expires: number
}
export type Status = 'open' | 'debits_frozen' | 'frozen' | 'closed'
/** A world account has no limit: null. */
type Account = {
  currency: string
  balance: bigint
  limit: bigint | null
  version: number
  opened: number
  status?: Status
}
/** An account after a change, or as it was already. */
export type Changed = { id: string; status: Status; limit: bigint; version: number }

export const digitsMax = 10n ** 15n - 1n

const isBefore = ({ effective_at }: Note, ms: number): boolean =>
  effective_at !== null && Date.parse(effective_at) < ms

export const isRefusal = (it: object): it is Refusal => 'code' in it
const refuse = (status: number, code: string): Refusal => ({ status, code })

/** The world account of a currency: its letters, as bytes. */
export const outsideOf = (currency: string): string =>
  `00000000-0000-0000-0000-000000${Buffer.from(currency, 'ascii').toString('hex')}`

export class LedgerModel {
  readonly accounts = new Map<string, Account>()
  readonly promises: Promised[] = []
  readonly payments: Paid[] = []
  readonly postings: Posted[] = []

  held(id: string): bigint {
    return this.promises.reduce(
      (sum, one) => (one.from === id && one.status === 'placed' ? sum + one.amount : sum),
      0n,
    )
  }

  /** The most the account can spend. */
  spendable(id: string): bigint {
    const account = this.accounts.get(id)
    return account ? account.balance - this.held(id) + (account.limit ?? 10n ** 9n) : 0n
  }

  pay(payment: Payment): Paid | Refusal {
    const { kind, from, to, amount, currency, note } = payment
    const refusal = this.refusalOf({
      ...payment,
      fromOutside: kind === 'deposit',
      toOutside: kind === 'withdrawal',
    })
    if (refusal) return refusal
    if (this.isTooWide(from, to, amount)) return refuse(422, 'BALANCE_LIMIT_REACHED')
    if (currency === '') throw new Error('a payment in no currency')
    return this.move({ kind, from, to, amount, note, reverses: null, hold: null })
  }

  promise(order: Omit<Payment, 'kind'> & { toOutside: boolean }): Promised | Refusal {
    const { from, to, amount, note } = order
    const refusal = this.refusalOf({ ...order, fromOutside: false }, false)
    if (refusal) return refusal
    if (this.held(from) + amount > digitsMax) return refuse(422, 'BALANCE_LIMIT_REACHED')
    const version = this.turnPage(from, 0n)
    const promised: Promised = {
      ...{ id: '', from, to, amount, note, version, placed: Number.NaN, expires: Number.NaN },
      ...{ status: 'placed', late: false, captured: null, paidBy: null },
    }
    this.promises.push(promised)
    return promised
  }

  /** `part` null: all of it. */
  capture(promised: Promised, part: bigint | null, note: Note): Paid | Refusal {
    const amount = part ?? promised.amount
    if (amount <= 0n) return refuse(422, 'AMOUNT_NOT_POSITIVE')
    if (promised.status === 'captured') return refuse(409, 'HOLD_ALREADY_CAPTURED')
    if (promised.status === 'released') return refuse(409, 'HOLD_ALREADY_RELEASED')
    if (promised.status === 'expired' || promised.late) return refuse(409, 'HOLD_EXPIRED')
    if (amount > promised.amount) return refuse(422, 'AMOUNT_EXCEEDS_HOLD')
    const stopped = this.stops(promised.from, promised.to)
    if (stopped) return stopped
    if (isBefore(note, promised.placed)) return refuse(422, 'EFFECTIVE_BEFORE_HOLD')
    const { from, to, id } = promised
    if (this.isTooWide(from, to, amount)) return refuse(422, 'BALANCE_LIMIT_REACHED')
    const own = {
      ...note,
      reference: note.reference ?? promised.note.reference,
      metadata: note.metadata ?? promised.note.metadata,
    }
    const paid = this.move({ kind: 'capture', from, to, amount, note: own, reverses: null, hold: id })
    Object.assign(promised, { status: 'captured', captured: amount, paidBy: paid, version: paid.versions[0] })
    return paid
  }

  release(promised: Promised, status: 'released' | 'expired' = 'released'): Promised | Refusal {
    if (promised.status === 'captured') return refuse(409, 'HOLD_ALREADY_CAPTURED')
    if (promised.status === 'released') return refuse(409, 'HOLD_ALREADY_RELEASED')
    if (promised.status === 'expired') return refuse(409, 'HOLD_EXPIRED')
    return Object.assign(promised, { status, captured: 0n, version: this.turnPage(promised.from, 0n) })
  }

  /** `part` null: all that is left. */
  reverse(paid: Paid, part: bigint | null, note: Note): Paid | Refusal {
    const left = paid.amount - paid.takenBack
    if (part !== null && part <= 0n) return refuse(422, 'AMOUNT_NOT_POSITIVE')
    if (paid.kind === 'reversal') return refuse(422, 'TRANSACTION_NOT_REVERSIBLE')
    if (left === 0n) return refuse(409, 'TRANSACTION_ALREADY_REVERSED')
    const amount = part ?? left
    if (amount > left) return refuse(422, 'AMOUNT_EXCEEDS_ORIGINAL')
    const stopped = this.stops(paid.to, paid.from)
    if (stopped) return stopped
    if (isBefore(note, paid.effective)) return refuse(422, 'EFFECTIVE_BEFORE_ORIGINAL')
    const [from, to] = [paid.to, paid.from]
    if (this.isTooMuch(from, amount)) return refuse(422, 'INSUFFICIENT_FUNDS')
    if (this.isTooWide(from, to, amount)) return refuse(422, 'BALANCE_LIMIT_REACHED')
    paid.takenBack += amount
    return this.move({ kind: 'reversal', from, to, amount, note, reverses: paid.id, hold: null })
  }

  /** All legs in their order, or the refusal of the first that cannot be paid. */
  post(payments: Payment[], note: Note): Posted | (Refusal & { at: number }) {
    const legs = this.payAll(payments)
    if (!Array.isArray(legs)) return legs
    return this.postLegs(legs, { note, isTakenBack: false, reverses: null })
  }

  /** The legs as one transaction, instead of transactions of their own. */
  private postLegs(legs: Paid[], rest: Pick<Posted, 'note' | 'isTakenBack' | 'reverses'>): Posted {
    this.payments.length -= legs.length
    const posted = { id: '', legs, effective: Number.NaN, ...rest }
    this.postings.push(posted)
    return posted
  }

  /** Every leg, the last one first. */
  reversePosted(posted: Posted, note: Note): Posted | Refusal {
    if (posted.reverses !== null) return refuse(422, 'TRANSACTION_NOT_REVERSIBLE')
    if (posted.isTakenBack) return refuse(409, 'TRANSACTION_ALREADY_REVERSED')
    const steps = posted.legs.toReversed().map(({ from, to, amount }) => () => {
      const stopped = this.stops(to, from)
      if (stopped) return stopped
      if (isBefore(note, posted.effective)) return refuse(422, 'EFFECTIVE_BEFORE_ORIGINAL')
      if (this.isTooMuch(to, amount)) return refuse(422, 'INSUFFICIENT_FUNDS')
      if (this.isTooWide(to, from, amount)) return refuse(422, 'BALANCE_LIMIT_REACHED')
      return this.move({
        kind: 'reversal',
        from: to,
        to: from,
        amount,
        note,
        reverses: posted.id,
        hold: null,
      })
    })
    const legs = this.all(steps)
    if (!Array.isArray(legs)) return refuse(legs.status, legs.code)
    posted.isTakenBack = true
    return this.postLegs(legs, { note, isTakenBack: false, reverses: posted.id })
  }

  setStatus(id: string, status: Status): Changed | Refusal {
    const account = this.accounts.get(id)
    if (!account || account.limit === null) return refuse(404, 'ACCOUNT_NOT_FOUND')
    const { status: before = 'open', balance } = account
    if (before !== status) {
      if (before === 'closed') return refuse(422, 'ACCOUNT_CLOSED')
      if (status === 'closed' && (balance !== 0n || this.held(id) !== 0n))
        return refuse(422, 'ACCOUNT_NOT_EMPTY')
      account.status = status
      this.turnPage(id, 0n)
    }
    return { id, status, limit: account.limit, version: account.version }
  }

  setLimit(id: string, limit: bigint): Changed | Refusal {
    const account = this.accounts.get(id)
    if (!account || account.limit === null) return refuse(404, 'ACCOUNT_NOT_FOUND')
    const { status = 'open' } = account
    if (status === 'closed') return refuse(422, 'ACCOUNT_CLOSED')
    if (limit !== account.limit) {
      if (account.balance - this.held(id) + limit < 0n) return refuse(422, 'OVERDRAFT_IN_USE')
      account.limit = limit
      this.turnPage(id, 0n)
    }
    return { id, status, limit, version: account.version }
  }

  extend(promised: Promised, expires: number): Promised | Refusal {
    if (promised.status === 'captured') return refuse(409, 'HOLD_ALREADY_CAPTURED')
    if (promised.status === 'released') return refuse(409, 'HOLD_ALREADY_RELEASED')
    if (promised.status === 'expired' || promised.late) return refuse(409, 'HOLD_EXPIRED')
    if (expires < promised.expires) return refuse(422, 'EXPIRES_AT_NOT_LATER')
    return Object.assign(promised, { expires, version: this.turnPage(promised.from, 0n) })
  }

  /** Whether the status of an account stops what leaves the one for the other. */
  private stops(from: string, to: string): Refusal | undefined {
    const [payer, payee] = [this.accounts.get(from)?.status, this.accounts.get(to)?.status]
    if (payer === 'closed') return refuse(422, 'ACCOUNT_FROM_CLOSED')
    if (payee === 'closed') return refuse(422, 'ACCOUNT_TO_CLOSED')
    if (payer === 'frozen' || payer === 'debits_frozen') return refuse(422, 'ACCOUNT_FROM_FROZEN')
    return payee === 'frozen' ? refuse(422, 'ACCOUNT_TO_FROZEN') : undefined
  }

  /** All or nothing: the first refusal and its index, without effect. */
  payAll(payments: Payment[]): Paid[] | (Refusal & { at: number }) {
    return this.all(payments.map((payment) => () => this.pay(payment)))
  }

  private all(steps: (() => Paid | Refusal)[]): Paid[] | (Refusal & { at: number }) {
    const accounts = structuredClone(this.accounts)
    const count = this.payments.length
    const all: Paid[] = []
    for (const [at, step] of steps.entries()) {
      const one = step()
      if (!isRefusal(one)) all.push(one)
      else {
        for (const [id, account] of accounts) this.accounts.set(id, account)
        this.payments.length = count
        return { ...one, at }
      }
    }
    return all
  }

  /** Why a payment or hold is refused, if it is. */
  private refusalOf(
    order: Omit<Payment, 'kind'> & { fromOutside: boolean; toOutside: boolean },
    isDated = true,
  ) {
    const { from, to, amount, currency, fromOutside, toOutside, note } = order
    if (amount <= 0n) return refuse(422, 'AMOUNT_NOT_POSITIVE')
    if (from === to) return refuse(422, 'ACCOUNTS_NOT_DIFFERENT')
    const isSomebodys = (id: string) => this.accounts.has(id) && this.accounts.get(id)?.limit !== null
    if (!fromOutside && !isSomebodys(from)) return refuse(404, 'ACCOUNT_FROM_NOT_FOUND')
    if (!toOutside && !isSomebodys(to)) return refuse(404, 'ACCOUNT_TO_NOT_FOUND')
    if (!fromOutside && this.accounts.get(from)?.currency !== currency)
      return refuse(422, 'CURRENCY_NOT_EQUAL')
    if (!toOutside && this.accounts.get(to)?.currency !== currency) return refuse(422, 'CURRENCY_NOT_EQUAL')
    const stopped = this.stops(from, to)
    if (stopped) return stopped
    const opened = (id: string, isOutside: boolean) => (isOutside ? 0 : (this.accounts.get(id)?.opened ?? 0))
    if (isDated && isBefore(note, Math.max(opened(from, fromOutside), opened(to, toOutside))))
      return refuse(422, 'EFFECTIVE_BEFORE_OPENING')
    return this.isTooMuch(from, amount) ? refuse(422, 'INSUFFICIENT_FUNDS') : undefined
  }

  private isTooMuch(id: string, amount: bigint): boolean {
    return this.accounts.get(id)?.limit !== null && amount > this.spendable(id)
  }

  /** A balance has 15 digits; world accounts have no such limit. */
  private isTooWide(from: string, to: string, amount: bigint): boolean {
    const after = [this.balanceAfter(from, -amount), this.balanceAfter(to, amount)]
    return after.some((balance) => balance > digitsMax || balance < -digitsMax)
  }

  private balanceAfter(id: string, amount: bigint): bigint {
    const account = this.accounts.get(id)
    return account && account.limit !== null ? account.balance + amount : 0n
  }

  private move(paid: Omit<Paid, 'id' | 'takenBack' | 'versions' | 'effective'>): Paid {
    const versions: Paid['versions'] = [
      this.turnPage(paid.from, -paid.amount),
      this.turnPage(paid.to, paid.amount),
    ]
    const done = { ...paid, id: '', takenBack: 0n, versions, effective: Number.NaN }
    this.payments.push(done)
    return done
  }

  /** Adds an entry to the account. Returns its version. */
  private turnPage(id: string, amount: bigint): number {
    const account = this.accounts.get(id)
    if (!account) throw new Error(`the model has no account ${id}`)
    account.balance += amount
    account.version += 1
    return account.version
  }
}
