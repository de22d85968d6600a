import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Account, availableMinor, type Entry } from './account'
import { type Book, type Command, type CommandResult, decideAll, emptyBook } from './book'
import type { Hold } from './types'
import { type TransferKind, transferKinds } from './types'

const at = new Date('2026-02-01T00:00:00Z')

const account = (id: string, balanceMinor: bigint, overdraftLimitMinor: bigint | null = 0n): Account => ({
  id,
  clientId: null,
  currency: 'BRL',
  balanceMinor,
  heldMinor: 0n,
  version: 0n,
  overdraftLimitMinor,
  openingLimitMinor: null,
  status: 'open',
  actor: null,
  changedActor: null,
  createdAt: new Date('2026-01-01T00:00:00Z'),
  updatedAt: new Date('2026-01-01T00:00:00Z'),
})

const bookOf = (...accounts: Account[]): Book => emptyBook(new Map(accounts.map((one) => [one.id, one])))

const transfer = (accountIdFrom: string, accountIdTo: string, amountMinor: bigint, id = 't1'): Command => ({
  type: 'transfer',
  id,
  kind: 'transfer',
  accountIdFrom,
  accountIdTo,
  amountMinor,
  currency: 'BRL',
  reference: null,
  metadata: null,
  effectiveAt: null,
})

test('each command sees what the one before it left', () => {
  const book = bookOf(account('eva', 100n), account('frank', 0n), account('grace', 0n))
  const commands = [
    transfer('eva', 'frank', 100n),
    transfer('frank', 'grace', 60n),
    transfer('frank', 'grace', 60n),
  ]
  const { results, facts } = decideAll({ commands, atomic: false }, book, at)
  expect(results.map((result) => result.kind)).toEqual(['transaction', 'transaction', 'rejected'])
  expect(facts.length).toBe(2)
  expect(book.accounts.get('frank')).toMatchObject({ balanceMinor: 40n, version: 2n })
})

test('atomic: one rejection leaves the book unchanged, and is the one reported', () => {
  const book = bookOf(account('eva', 100n), account('frank', 0n))
  const commands = [
    transfer('eva', 'frank', 60n),
    transfer('eva', 'frank', 60n),
    transfer('eva', 'missing', 1n),
  ]
  expect(decideAll({ commands, atomic: true }, book, at)).toEqual({
    results: [
      { kind: 'rejected', rejection: 'batch_refused' },
      { kind: 'rejected', rejection: 'insufficient_funds' },
      { kind: 'rejected', rejection: 'batch_refused' },
    ],
    facts: [],
  })
  expect(book).toEqual(bookOf(account('eva', 100n), account('frank', 0n)))
})

test('the result of an earlier try is returned, and not decided again', () => {
  const book = bookOf(account('eva', 100n), account('frank', 0n))
  const commands = [transfer('eva', 'frank', 100n, 'before')]
  const first = decideAll({ commands, atomic: true }, book, at)
  book.done = new Map([['before', first.results[0] as CommandResult]])
  expect(decideAll({ commands, atomic: true }, book, at)).toEqual({ results: first.results, facts: [] })
  expect(book.accounts.get('frank')).toMatchObject({ version: 1n })
})

test('two reversals of one request share what is left of the transaction', () => {
  const book = bookOf(account('eva', 100n), account('frank', 0n))
  const paid = decideAll({ commands: [transfer('eva', 'frank', 100n, 'paid')], atomic: true }, book, at)
    .facts[0]
  if (paid?.type !== 'transaction') throw new Error('refused')
  book.originals.set('paid', { legs: [paid.transaction], reversedMinor: 0n })
  const reversal = (id: string): Command => ({
    type: 'reversal',
    id,
    reverses: 'paid',
    accountIdFrom: 'frank',
    accountIdTo: 'eva',
    amountMinor: 60n,
    reference: null,
    metadata: null,
    effectiveAt: null,
  })
  const { results } = decideAll({ commands: [reversal('r1'), reversal('r2')], atomic: false }, book, at)
  expect(results[1]).toEqual({ kind: 'rejected', rejection: 'amount_exceeds_original' })
})

test('for any commands: no money appears, no account overspends, versions have no gaps', () => {
  const names = ['eva', 'frank', 'overdrawn', 'world', 'missing']
  const asked = fc.array(
    fc.record({
      type: fc.constantFrom('transfer', 'transfer', 'postings', 'reversal', 'hold', 'capture', 'release'),
      others: fc.array(
        fc.record({ to: fc.constantFrom(...names), amountMinor: fc.bigInt({ min: 0n, max: 400n }) }),
        { minLength: 1, maxLength: 4 },
      ),
      from: fc.constantFrom(...names),
      to: fc.constantFrom(...names),
      amountMinor: fc.bigInt({ min: -10n, max: 900n }),
      kind: fc.constantFrom<TransferKind>(...transferKinds),
      which: fc.nat(),
      whole: fc.boolean(),
    }),
    { maxLength: 60 },
  )
  const begin = () => [
    account('eva', 800n),
    account('frank', 1200n),
    account('overdrawn', 0n, 500n),
    account('world', -2000n, null),
  ]

  fc.assert(
    fc.property(asked, (steps) => {
      const book = bookOf(...begin())
      const entries: Entry[] = []
      for (const [index, { type, from, to, others, amountMinor, kind, which, whole }] of steps.entries()) {
        const id = `f${index}`
        const common = { id, amountMinor, reference: null, metadata: null, effectiveAt: null }
        const part = { ...common, amountMinor: whole ? null : amountMinor }
        const hold = [...book.holds.values()][which % (book.holds.size || 1)]
        const original = [...book.originals.values()][which % (book.originals.size || 1)]?.legs
        const ofHold = hold && {
          holdId: hold.id,
          accountIdFrom: hold.accountIdFrom,
          accountIdTo: hold.accountIdTo,
        }
        const parties = { accountIdFrom: from, accountIdTo: to, currency: 'BRL' }
        let command: Command | undefined
        if (type === 'transfer') command = { type, kind, ...parties, ...common }
        else if (type === 'postings') {
          const postings = [{ to, amountMinor }, ...others].map((leg, index, all) => ({
            kind,
            // Each passes on what the one before it brought.
            accountIdFrom: index === 0 ? from : (all[index - 1]?.to ?? from),
            accountIdTo: leg.to,
            amountMinor: leg.amountMinor,
          }))
          command = {
            type,
            postings,
            currency: 'BRL',
            id,
            reference: null,
            metadata: null,
            effectiveAt: null,
          }
        } else if (type === 'hold')
          command = { type, toWorld: to === 'world', expiresAt: new Date(8e15), ...parties, ...common }
        else if (type === 'capture' && ofHold) command = { type, ...ofHold, ...part }
        else if (type === 'release' && ofHold) command = { type, id, reason: 'released', ...ofHold }
        else if (type === 'reversal' && original)
          command = {
            type,
            reverses: original[0].id,
            accountIdFrom: original[0].accountIdTo,
            accountIdTo: original[0].accountIdFrom,
            ...part,
          }
        if (!command) continue
        const before = new Map(book.accounts)
        const { facts, results } = decideAll({ commands: [command], atomic: true }, book, at)
        for (const fact of facts) if ('entries' in fact) entries.push(...fact.entries)
        const [result] = results
        if (result?.kind === 'transaction') book.originals.set(id, { legs: result.legs, reversedMinor: 0n })
        if (result?.kind === 'rejected') expect(book.accounts).toEqual(before)
        if (command.type === 'postings' && result?.kind === 'transaction')
          expect(result.legs.map((leg) => [leg.leg, leg.amountMinor])).toEqual(
            command.postings.map((posting, leg) => [leg, posting.amountMinor]),
          )
      }

      const accounts = [...book.accounts.values()]
      expect(accounts.reduce((sum, one) => sum + one.balanceMinor, 0n)).toBe(0n)
      for (const one of accounts) {
        if (one.overdraftLimitMinor !== null)
          expect(availableMinor(one) >= -one.overdraftLimitMinor).toBe(true)
        const isOpen = (hold: Hold) => hold.accountIdFrom === one.id && hold.status === 'placed'
        const open = [...book.holds.values()].filter(isOpen).reduce((sum, hold) => sum + hold.amountMinor, 0n)
        expect(one.heldMinor).toBe(open)
        const own = entries.filter((entry) => entry.accountId === one.id)
        expect(own.map((entry) => entry.version)).toEqual(own.map((_, index) => BigInt(index + 1)))
        expect(own.at(-1)?.balanceMinor ?? one.balanceMinor).toBe(one.balanceMinor)
      }
      for (const { legs, reversedMinor } of book.originals.values()) {
        const movedMinor = legs.reduce((sum, leg) => sum + leg.amountMinor, 0n)
        expect(0n <= reversedMinor && reversedMinor <= movedMinor).toBe(true)
        if (legs.length > 1) expect([0n, movedMinor]).toContain(reversedMinor)
      }
    }),
    { numRuns: 500 },
  )
})
