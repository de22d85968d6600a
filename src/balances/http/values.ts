/** Values that several routes of the read side read and show: their schemas, parsers and presenters. */
import { type Static, Type } from '@sinclair/typebox'
import { canonicalId } from '../../contract/id'
import { presentMoney, type ShownMoney } from '../../contract/money'
import { problems } from '../../contract/problems'
import { actor, Money, time, version } from '../../contract/schemas'
import { type Instant, parseInstant, sqlBoundOf, timeExpected } from '../../contract/time'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { InvalidValue } from '../../platform/http/invalid'
import type { Subject } from '../../platform/http/principal'
import { closedObject, described, documentedAs, nullable } from '../../platform/http/schemas'
import type { Balance } from '../queries/balances-store'
import type { AccountTerms, Entry } from '../queries/entries-store'
import type { Line } from '../queries/history'

/** What lists and balances answer with: a browser asks again, and may find the same. */
export const revalidated = { 'cache-control': 'private, no-cache' }
export const revalidatedHeaders = [responseHeaders.cacheControl('private, no-cache')]

/** Whether it is a time is for `parseMoment` and `parseBound`. */
export const moment = (description: string) =>
  Type.String({
    expected: timeExpected,
    description,
    [documentedAs]: { type: 'string', format: 'date-time', examples: ['2020-02-01T00:00:00Z'] },
  })
/** Ids are opaque, but no table has one with a NUL in it. */
export const id = (description: string) =>
  Type.String({
    pattern: '^[^\\0]*$',
    expected: 'must be an id, without a NUL',
    description,
    [documentedAs]: { type: 'string' },
  })
export const accountParams = { account_id: Type.String({ description: 'The account.' }) }

export const accountSubject = ({ params }: { params: { account_id: string | null } }): Subject[] => {
  const account = parseAccountId(params)
  return canExist(account) ? [{ account }] : []
}

export const MoneyOrUnknown = nullable(Money, 'Null where it cannot be derived, or in an unknown currency.')

/** Currencies of events are not checked: an unknown one is shown, and its amounts are null. */
export const CurrencyCode = Type.String({ description: 'ISO 4217.', examples: ['BRL'] })

export const showMoney = (minor: bigint | null, currency: string): ShownMoney =>
  minor === null ? null : presentMoney(minor, currency)

export const holdings = {
  balance: described(MoneyOrUnknown, 'All that was credited less all that was debited.'),
  held: described(MoneyOrUnknown, 'Reserved by open holds.'),
  available: described(MoneyOrUnknown, '`balance` less `held`.'),
}

export const presentHoldings = (
  { balanceMinor, heldMinor }: Pick<Balance, 'balanceMinor' | 'heldMinor'>,
  currency: string,
) => ({
  balance: presentMoney(balanceMinor, currency),
  held: presentMoney(heldMinor, currency),
  available: presentMoney(balanceMinor - heldMinor, currency),
})

/** As the event has it: this version of the read side need not know it. */
export const Status = Type.String({
  description:
    '`debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is final.',
  [documentedAs]: { type: 'string', enum: ['open', 'debits_frozen', 'frozen', 'closed'] },
})

export const OverdraftLimit = nullable(
  Money,
  'How far below zero it may go. Null for `world`, and until AccountOpened has been applied.',
)

/** An event leaves the limit out while it is that of the opening. */
export const presentLimit = (
  { overdraftLimitMinor }: Pick<Entry, 'overdraftLimitMinor'>,
  { openingLimitMinor, currency }: AccountTerms,
): ShownMoney => showMoney(overdraftLimitMinor ?? openingLimitMinor, currency)

const entry = {
  version: version('The version of the account that it led to.'),
  amount: nullable(Money, 'Signed. Null for the first of an account that was not opened here.'),
  ...holdings,
  status: Status,
  overdraft_limit: described(OverdraftLimit, 'How far below zero it may go after it. Null as in a balance.'),
  transaction_id: nullable(Type.String(), 'The transaction, hold, release or change that led to it.'),
  hold_id: nullable(Type.String(), 'The hold that was placed, extended, captured or released.'),
  counterparty_account_id: nullable(Type.String(), 'The other account.'),
  actor: actor('Who did it'),
  effective_at: time('From when it counts in the books.'),
  created_at: time('When it was written.'),
}
export const EntryResponse = closedObject('Entry', entry)
export const StreamedEntry = closedObject('StreamedEntry', {
  account_id: Type.String({ description: 'The account.' }),
  currency: CurrencyCode,
  ...entry,
})

export const GapResponse = closedObject('Gap', {
  gap: closedObject('MissingVersions', {
    from_version: version('The first that is missing.'),
    to_version: version('The last that is missing.'),
    amount: nullable(Money, 'What the missing entries did together; null where that is not known.'),
  }),
})

export const LineResponse = Type.Union([EntryResponse, GapResponse])

export const presentEntry = (entry: Entry, account: AccountTerms): Static<typeof EntryResponse> => ({
  version: Number(entry.version),
  amount: showMoney(entry.amountMinor, account.currency),
  ...presentHoldings(entry, account.currency),
  status: entry.status ?? 'open',
  overdraft_limit: presentLimit(entry, account),
  transaction_id: entry.transactionId,
  hold_id: entry.holdId,
  counterparty_account_id: entry.counterpartyId,
  actor: entry.actor,
  effective_at: entry.effectiveAt ?? entry.createdAt,
  created_at: entry.createdAt,
})

export const presentLine = (line: Line, account: AccountTerms): Static<typeof LineResponse> =>
  'gap' in line
    ? {
        gap: {
          from_version: Number(line.gap.fromVersion),
          to_version: Number(line.gap.toVersion),
          amount: showMoney(line.gap.amountMinor, account.currency),
        },
      }
    : presentEntry(line.entry, account)

function parseRequestTime(name: string, text: string): Instant {
  const instant = parseInstant(text)
  if (!instant) throw new InvalidValue({ pointer: `#/${name}`, detail: `${name} ${timeExpected}` })
  return instant
}

/** Where a period begins or ends, to be compared with stored times. */
export const parseBound = (name: string, text: string | undefined): string | undefined =>
  text === undefined ? undefined : sqlBoundOf(parseRequestTime(name, text))

/** `at` is the last stored time that belongs to it; `shown` the time as it was sent, which may be finer. */
export type Moment = { at: string; shown: string }

export function parseMoment(name: string, text: string): Moment {
  const { ms, finer } = parseRequestTime(name, text)
  const at = new Date(ms).toISOString()
  return { at, shown: finer ? text : at }
}

/** Null is what the router makes of a path that is not UTF-8. */
export const parseAccountId = ({ account_id: id }: { account_id: string | null }): string | null =>
  id && canonicalId(id)

const accountIdLengthMax = 255

/** Ids are opaque to the read side. Those that no event can have brought are not looked up. */
export const canExist = (accountId: string | null): accountId is string =>
  accountId !== null &&
  accountId.length <= accountIdLengthMax &&
  accountId.isWellFormed() &&
  !accountId.includes('\0')

export const refuseAccount = (request: Request, accountId: string | null): Response =>
  refuse(request, problems.accountNotFound, {
    detail:
      `account ${accountId ?? 'of that name'} is not known here; ` +
      'if it was opened just now, its event may not have arrived yet',
  })
