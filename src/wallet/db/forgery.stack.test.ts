/**
 * What somebody with the service's own password could do to the ledger beside it: append what a
 * wallet might have, and nothing else.
 */
import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { reuseWallet } from '../../testing/reuse'
import { eva, expectSoundLedger, frank, startWallets, type Wallets, world } from '../../testing/wallets'

const ownerOfEva = 'd6a3bc81-bbd0-11ee-8a24-0242ac120003'

const connect = (url: string) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end() })
}

/** The constraint or the SQLSTATE that a statement is answered with. */
const answerTo = (query: PromiseLike<unknown>): Promise<string> =>
  Promise.resolve(query).then(
    () => 'accepted',
    (error) => error.constraint_name ?? error.code,
  )

type Line = {
  account: string
  transaction: string
  amount: number
  held?: number
  version?: number
  balance?: number
}
type Movement = {
  id: string
  from?: string
  to?: string
  amount: number
  reverses?: string
  kind?: string
  hold?: string
  leg?: number
  /** How many versions further than the next one. */
  after?: { from?: number; to?: number }
  remarks?: string
  actor?: string
  currency?: string
}

/**
 * Writes statements as the service does, on the current state of the accounts, with the given
 * differences.
 */
async function forger(sql: postgres.Sql) {
  const rows =
    await sql`select id, balance_minor::int as balance, held_minor::int as held, version::int from accounts`
  const stand = new Map(
    rows.map((row) => [row.id, row as unknown as { balance: number; held: number; version: number }]),
  )
  const at = (id: string) => stand.get(id) ?? { balance: 0, held: 0, version: 0 }
  const entries = (lines: Line[]) => `
    insert into entries (
      account_id, version, transaction_id, amount_minor, balance_minor, held_minor, created_at
    ) values ${lines
      .map(({ account, transaction, amount, held = 0, version, balance }) => {
        const before = at(account)
        const after = [version ?? before.version + 1, balance ?? before.balance + amount, before.held + held]
        return `('${account}', ${after[0]}, '${transaction}', ${amount}, ${after[1]}, ${after[2]}, now())`
      })
      .join()}`
  const transaction = ({
    id,
    from = eva,
    to = frank,
    amount,
    kind = 'transfer',
    reverses,
    hold,
    leg = 0,
    after = {},
    remarks,
    actor,
    currency = 'BRL',
  }: Movement) => `
    insert into transactions (
      id, leg, kind, account_id_from, account_id_to, version_from, version_to,
      amount_minor, currency, effective_at, created_at, reverses, hold_id, reference, actor
    ) values (
      '${id}', ${leg}, '${kind}', '${from}', '${to}',
      ${at(from).version + 1 + (after.from ?? 0)}, ${at(to).version + 1 + (after.to ?? 0)},
      ${amount}, '${currency}', now(), now(),
      ${reverses ? `'${reverses}'` : 'null'}, ${hold ? `'${hold}'` : 'null'},
      ${remarks ? `'${remarks}'` : 'null'}, ${actor ? `'${actor}'` : 'null'}
    )`
  /** Legs of one transaction, in one statement. */
  const legs = (movements: Movement[]) =>
    movements
      .map(transaction)
      .reduce((all, one) => all + one.slice(one.indexOf('values') + 6).replace(/^/, ','))
  const pair = (id: string, amount: number, more: Partial<Line> = {}): [Line, Line] => [
    { account: eva, transaction: id, amount: -amount, ...more },
    { account: frank, transaction: id, amount },
  ]
  /** One statement of several parts, the last of which is the statement itself. */
  const together = (...parts: string[]) => {
    const last = parts.at(-1)
    const others = parts.slice(0, -1).map((part, index) => `part${index} as (${part})`)
    return others.length > 0 ? `with ${others.join()} ${last}` : `${last}`
  }
  return { entries, transaction, legs, pair, together, at }
}

const pay = async ({ wallet }: Wallets, amount = 1) =>
  String((await wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount })).body.id)

/** In its second version. */
async function erasedClient({ wallet, sql }: Wallets): Promise<string> {
  const id = String((await wallet.post('/clients', { name: 'Ivy', email: 'ivy@example.com' })).body.id)
  await sql`
    insert into client_versions (client_id, version, id, is_erasure, created_at)
    values (${id}, 2, gen_random_uuid(), true, now())`
  return id
}

test('with the service password one can append only what balances and is published', async () => {
  await using wallets = await reuseWallet()
  await using service = connect(wallets.config.database.url)
  const paid = await pay(wallets)
  const hold = String((await wallets.wallet.post('/holds', { account_id_from: eva, amount: 5 })).body.id)
  const { frozen, debitsFrozen, closed } = await restrictedAccounts(wallets)
  const erased = await erasedClient(wallets)
  const { entries, transaction, pair, together, at } = await forger(service)
  const fresh = () => crypto.randomUUID()
  const [a, b, c] = [fresh(), fresh(), fresh()]
  const lines = (id: string, amount = 100) => pair(id, amount)
  const claim = (id: string, more: Partial<Line> = {}) => {
    const both = pair(id, 100, more)
    return together(transaction({ id, amount: 100 }), entries(both))
  }
  const zero = (id: string, held: number): Line => ({ account: eva, transaction: id, amount: 0, held })
  const placed = (id: string, more = {}) => {
    const fields: Record<string, string> = {
      ...{ id: `'${id}'`, account_id_from: `'${eva}'`, account_id_to: `'${frank}'`, amount_minor: '100' },
      ...{
        currency: "'BRL'",
        expires_at: "now() + interval '1 day'",
        created_at: 'now()',
        status: "'placed'",
      },
      ...{ version_placed: String(at(eva).version + 1), ...more },
    }
    return `insert into holds (${Object.keys(fields).join()}) values (${Object.values(fields).join()})`
  }
  const ended = (status: string, by: string, captured: number, version = at(eva).version + 1) =>
    `update holds set status = '${status}', captured_minor = ${captured}, ended_by = '${by}',
      ended_at = now(), version_ended = ${version}
    where id = '${hold}'`

  const changed = (id: string, more: Record<string, string> = {}) => {
    const fields: Record<string, string> = {
      ...{ id: `'${id}'`, kind: "'status'", account_id: `'${eva}'`, status: "'frozen'" },
      ...{ version: String(at(eva).version + 1), overdraft_limit_minor: '0', created_at: 'now()', ...more },
    }
    return `insert into changes (${Object.keys(fields).join()}) values (${Object.values(fields).join()})`
  }
  const ofWorld = { account_id: `'${world}'`, version: String(at(world).version + 1) }
  const change = (id: string, kind: string, more: Record<string, string> = {}, account = eva) =>
    together(
      entries([{ ...zero(id, 0), account }]),
      changed(id, {
        ...{ kind: `'${kind}'`, status: "'open'", version: String(at(account).version + 1), ...more },
      }),
    )
  const longer = "now() + interval '30 days'"
  const extended = (id: string, expiry: string, more = {}) => ({
    ...{ hold_id: `'${id}'`, expires_at: expiry, ...more },
  })
  const ofAccount = (id: string, amount: number) => {
    const transfer = fresh()
    const [from, to] = amount < 0 ? [id, frank] : [frank, id]
    return together(
      transaction({ id: transfer, from, to, amount: 1 }),
      entries([
        { account: from, transaction: transfer, amount: -1 },
        { account: to, transaction: transfer, amount: 1 },
      ]),
    )
  }
  const inYen = (id: string, ...parts: string[]) =>
    together(transaction({ id, amount: 100, currency: 'JPY' }), ...parts)
  const heldOf = (account: string) => {
    const id = fresh()
    const own = { account_id_from: `'${account}'`, amount_minor: '1' }
    return together(
      entries([{ account, transaction: id, amount: 0, held: 1 }]),
      placed(id, { ...own, version_placed: String(at(account).version + 1) }),
    )
  }
  const version = (number: number, client = ownerOfEva, isErasure = false) => `
    insert into client_versions (client_id, version, id, is_erasure, created_at)
    values ('${client}', ${number}, gen_random_uuid(), ${isErasure}, now())`
  const named = (number: number, client = ownerOfEva) => `
    insert into personal_data (client_id, version, name, email)
    values ('${client}', ${number}, 'Mallory', 'm@example.com')`

  const refused: [wanted: string, statement: string][] = [
    // Money from nothing, and histories that do not follow on.
    ['42501', `update accounts set balance_minor = balance_minor + 100 where id = '${eva}'`],
    ['42501', `update accounts set balance_minor = 0, version = 0 where id = '${frank}'`],
    ['42501', `update accounts set version = version - 1 where id = '${eva}'`],
    ['42501', `update accounts set held_minor = 0 where id = '${eva}'`],
    ['entries_follow_on', claim(a, { balance: 900_000 })],
    ['transactions_booked', together(transaction({ id: a, amount: 100 }), entries([pair(a, 100)[0]]))],
    // Entries of nothing, of an older transaction, of another amount, of another account.
    ['entries_have_cause', together(entries(lines(a)))],
    ['entries_have_cause', together(entries(lines(paid)))],
    ['entries_have_cause', together(transaction({ id: a, amount: 99 }), entries(lines(a)))],
    [
      'entries_have_cause',
      together(transaction({ id: a, from: frank, to: eva, amount: 100 }), entries(lines(a))),
    ],
    ['entries_have_cause', together(entries([zero(a, 100)]))],
    ['entries_have_cause', together(entries([zero(hold, 500)]))],
    ['entries_have_cause', together(entries([zero(a, -500)]))],
    ['entries_have_cause', claim(b, { held: -500 })],
    // Money of another currency, also beside a change, and of an account that is not there.
    ['transactions_booked', inYen(a, entries(lines(a)))],
    [
      'transactions_booked',
      inYen(
        a,
        entries([...lines(a), { ...zero(b, 0), account: debitsFrozen }]),
        changed(b, { account_id: `'${debitsFrozen}'`, version: String(at(debitsFrozen).version + 1) }),
      ),
    ],
    ['transactions_booked', ofAccount(fresh(), 1)],
    // Transactions and holds that no entry knows of.
    ['transactions_booked', transaction({ id: a, amount: 100 })],
    [
      'transactions_within_original',
      together(transaction({ id: a, amount: 100, kind: 'reversal', reverses: paid }), entries(lines(a))),
    ],
    [
      'entries_have_cause',
      together(transaction({ id: a, amount: 100, kind: 'capture', hold: fresh() }), entries(lines(a))),
    ],
    ['holds_booked', placed(c)],
    ['holds_booked', together(entries([zero(c, 100)]), placed(c, { currency: "'JPY'" }))],
    ['entries_have_cause', together(entries([zero(c, 100)]), placed(c, { amount_minor: '99' }))],
    ['holds_booked', ended('released', a, 0)],
    ['holds_booked', ended('captured', paid, 100, at(eva).version - 1)],
    ['holds_end_once', `update holds set ended_at = now() where id = '${hold}'`],
    ['holds_ended_actor', `update holds set ended_actor = 'shop' where id = '${hold}'`],
    // An account that may pay without end.
    [
      'accounts_world',
      `insert into accounts (id, currency, overdraft_limit_minor, created_at, updated_at)
      values (gen_random_uuid(), 'BRL', null, now(), now())`,
    ],
    // Changes that no entry knows of, of what is not so, of two things at once, or of `world`.
    ['changes_booked', changed(a)],
    ['entries_have_cause', together(entries([zero(a, 0)]))],
    ['changes_booked', together(entries([zero(a, 5)]), placed(a, { amount_minor: '5' }), changed(a))],
    ['changes_follow_on', together(entries([zero(a, 0)]), changed(a, { status: "'open'" }))],
    ['changes_follow_on', together(entries([zero(a, 0)]), changed(a, { overdraft_limit_minor: '7' }))],
    ['changes_follow_on', together(entries([zero(a, 0)]), changed(a, { status: "'closed'" }))],
    ['changes_follow_on', change(a, 'overdraft', { status: "'frozen'", overdraft_limit_minor: '7' })],
    ['changes_follow_on', change(a, 'overdraft')],
    ['changes_overdraft', change(a, 'overdraft', { overdraft_limit_minor: '-1' })],
    ['changes_follow_on', together(entries([{ ...zero(a, 0), account: world }]), changed(a, ofWorld))],
    ['changes_follow_on', change(a, 'expiry', extended(hold, "now() + interval '1 day'"))],
    ['changes_follow_on', change(a, 'expiry', extended(fresh(), "now() + interval '30 days'"))],
    ['changes_follow_on', change(a, 'expiry', extended(hold, longer, { status: "'frozen'" }))],
    ['changes_hold', change(a, 'expiry')],
    ['changes_hold', change(a, 'status', extended(hold, longer))],
    ['changes_kind', change(a, 'owner')],
    // What the status of an account forbids.
    ['entries_within_status', ofAccount(frozen, -1)],
    ['entries_within_status', ofAccount(frozen, 1)],
    ['entries_within_status', ofAccount(debitsFrozen, -1)],
    ['entries_within_status', ofAccount(closed, 1)],
    ['changes_follow_on', change(a, 'status', { account_id: `'${closed}'`, status: "'open'" }, closed)],
    ['entries_within_status', heldOf(frozen)],
    ['entries_within_status', heldOf(debitsFrozen)],
    // Versions of clients that do not follow on.
    ['client_versions_follow_on', together(version(3), named(3))],
    ['client_versions_pkey', version(1)],
    ['personal_data_versioned', together(version(2, a), named(2, a))],
    ['client_versions_follow_on', version(2, a)],
    ['client_versions_follow_on', version(1, fresh())],
    // A version without personal data, personal data without a version, an erasure with some.
    ['client_versions_follow_on', version(2)],
    ['personal_data_versioned', named(2)],
    ['personal_data_pkey', named(1)],
    ['personal_data_versioned', named(1, fresh())],
    ['client_versions_follow_on', together(version(2, ownerOfEva, true), named(2))],
    ['client_versions_follow_on', version(3, ownerOfEva, true)],
    [
      'client_versions_follow_on',
      `insert into clients (id, created_at, updated_at) values (gen_random_uuid(), now(), now())`,
    ],
    // A client that was erased stays so.
    ['personal_data_versioned', together(version(3, erased), named(3, erased))],
    ['client_versions_follow_on', version(3, erased)],
    ['client_versions_follow_on', version(3, erased, true)],
    ['personal_data_versioned', named(1, erased)],
    ['personal_data_versioned', named(2, erased)],
    // What is not granted.
    ['42501', `update personal_data set name = 'Mallory'`],
    ['42501', 'delete from personal_data'],
    ['42501', 'delete from erasures'],
    ['42501', 'update erasures set erased_at = now()'],
    ['42501', `insert into erasures (client_id, erased_at) values ('${ownerOfEva}', now())`],
    ['42501', 'update clients set erased_at = null'],
    [
      '42501',
      `insert into clients (id, version, created_at, updated_at)
      values (gen_random_uuid(), 7, now(), now())`,
    ],
    ['42501', 'update client_versions set is_erasure = false'],
    ['42501', 'delete from changes'],
    ['42501', `update accounts set status = 'open'`],
    ['42501', 'update accounts set opening_limit_minor = 1'],
    [
      '42501',
      `insert into accounts (id, currency, overdraft_limit_minor, status, created_at, updated_at)
      values (gen_random_uuid(), 'BRL', 0, 'frozen', now(), now())`,
    ],
    ['42501', `update holds set expires_at_placed = now()`],
    ['42501', placed(c, { version_extended: '1' })],
    // Who did what.
    ['42501', `update accounts set changed_actor = 'shop'`],
    ['42501', `update holds set actor = 'shop'`],
    ['42501', `update holds set extended_actor = 'shop'`],
    ['42501', `update clients set changed_actor = 'shop'`],
    ['42501', `update transactions set actor = 'shop'`],
    ['42501', 'update accounts set overdraft_limit_minor = 999999'],
    ['42501', `update accounts set currency = 'JPY'`],
    ['42501', `update accounts set created_at = now()`],
    [
      '42501',
      `insert into accounts (id, currency, balance_minor, created_at, updated_at)
      values (gen_random_uuid(), 'BRL', 1, now(), now())`,
    ],
    ['42501', 'update holds set amount_minor = 1'],
    ['42501', `update holds set expires_at = now()`],
    ['42501', 'update idempotency_keys set created_at = now()'],
    ['42501', 'create temporary table entries (id int)'],
    ['42501', 'create temporary view accounts as select 1'],
    ['42501', 'create schema elsewhere'],
    ['42501', 'create table public.more (id int)'],
    [
      '42501',
      `create trigger mine after insert on entries referencing new table as added
      for each statement execute function assert_double_entry()`,
    ],
    ['42501', 'create policy mine on idempotency_keys for delete using (true)'],
    ['42501', 'alter table idempotency_keys disable row level security'],
  ]
  const answers: [string, string][] = []
  for (const [, statement] of refused) answers.push([await answerTo(service.unsafe(statement)), statement])
  expect(answers).toEqual(refused)

  // The same, unforged.
  expect(await answerTo(service.unsafe(claim(a)))).toBe('accepted')
  expect(await answerTo(service.unsafe(together(version(2), named(2))))).toBe('accepted')
  await expectSoundLedger(wallets)
})

test('a change with its entry is accepted once, and the account and the hold follow it', async () => {
  await using wallets = await reuseWallet()
  await using service = connect(wallets.config.database.url)
  const hold = String((await wallets.wallet.post('/holds', { account_id_from: eva, amount: 5 })).body.id)
  const { entries, together, at } = await forger(service)
  const id = crypto.randomUUID()
  const statement = together(
    entries([{ account: eva, transaction: id, amount: 0 }]),
    `insert into changes (
      id, kind, account_id, version, status, overdraft_limit_minor, hold_id, expires_at, created_at
    ) values (
      '${id}', 'expiry', '${eva}', ${at(eva).version + 1}, 'open', 0, '${hold}', '2999-01-01', now()
    )`,
  )
  expect(await answerTo(service.unsafe(statement))).toBe('accepted')
  expect(await answerTo(service.unsafe(statement))).toBe('changes_pkey')
  expect((await wallets.wallet.get(`/holds/${hold}`)).body).toMatchObject({
    expires_at: '2999-01-01T00:00:00.000Z',
    version_account_id_from: at(eva).version + 1,
  })
  await expectSoundLedger(wallets)
})

async function restrictedAccounts({ wallet }: Wallets) {
  const open = async (balance: number) => {
    const { body } = await wallet.post('/accounts', { client_id: ownerOfEva, overdraft_limit: 0 })
    if (balance > 0) await wallet.post(`/accounts/${body.id}/deposits`, { amount: balance })
    return String(body.id)
  }
  const [frozen, debitsFrozen, closed] = [await open(5), await open(5), await open(0)]
  const changed = [
    await wallet.post(`/accounts/${frozen}/freeze`, {}),
    await wallet.post(`/accounts/${debitsFrozen}/freeze`, { scope: 'debits' }),
    await wallet.post(`/accounts/${closed}/close`, {}),
  ]
  expect(changed.map(({ status }) => status)).toEqual([200, 200, 200])
  return { frozen, debitsFrozen, closed }
}

test('a transaction of several legs is written whole, each leg with entries of its own', async () => {
  await using wallets = await reuseWallet()
  await using service = connect(wallets.config.database.url)
  const john = 'd6a4053e-bbd0-11ee-8a24-0242ac120003'
  const posting = (account_id_to: string, amount: number) => ({ account_id_from: eva, account_id_to, amount })
  const post = async (postings: object[]) =>
    String((await wallets.wallet.post('/transactions', { postings })).body.id)
  const [posted, other] = [
    await post([posting(frank, 1), posting(john, 2)]),
    await post([posting(frank, 1), posting(john, 2)]),
  ]
  const { entries, legs, together, at } = await forger(service)
  const a = crypto.randomUUID()
  const kind = 'postings'
  const next = (account: string, amount: number, number = 1, total = amount): Line => {
    const { version, balance } = at(account)
    return { account, transaction: a, amount, version: version + number, balance: balance + total }
  }
  const first = { id: a, kind, amount: 100 }
  const second = { id: a, kind, leg: 1, to: john, amount: 20, after: { from: 1 } }
  const lines = [next(eva, -100), next(frank, 100), next(eva, -20, 2, -120), next(john, 20)]
  const firstLines = lines.slice(0, 2)
  const own = (line: Line): Line => ({ ...line, transaction: posted })
  const back = (id: string, more = {}) => ({ id: a, kind: 'reversal', reverses: id, to: eva, ...more })
  const fromJohn = { from: john, amount: 200 }
  const fromFrank = { from: frank, leg: 1, amount: 100, after: { to: 1 } }
  const backLines = [next(john, -200), next(eva, 200), next(frank, -100), next(eva, 100, 2, 300)]

  const refused: [wanted: string, statement: string][] = [
    // Legs that claim the same entries: more would be said to have moved than did.
    ['transactions_whole', together(legs([first, { ...first, leg: 1 }]), entries(firstLines))],
    [
      'transactions_whole',
      together(legs([first, { ...second, to: frank, amount: 100, after: {} }]), entries(firstLines)),
    ],
    // One leg alone, a gap, two that do not agree, entries or a leg that is missing.
    ['transactions_whole', together(legs([first]), entries(firstLines))],
    ['transactions_whole', together(legs([first, { ...second, leg: 2 }]), entries(lines))],
    [
      'transactions_whole',
      together(
        legs([
          { ...first, leg: 1 },
          { ...second, leg: 2 },
        ]),
        entries(lines),
      ),
    ],
    ['transactions_whole', together(legs([first, { ...second, remarks: 'other' }]), entries(lines))],
    ['transactions_whole', together(legs([first, { ...second, actor: 'shop' }]), entries(lines))],
    [
      'transactions_whole',
      together(
        legs([back(posted, fromJohn), { ...fromFrank, id: a, kind, to: eva }] as Movement[]),
        entries(backLines),
      ),
    ],
    ['transactions_leg', together(legs([first, { ...second, kind: 'transfer' }]), entries(lines))],
    ['transactions_legs', together(legs([first, { ...second, leg: 100 }]), entries(lines))],
    ['transactions_booked', together(legs([first, second]), entries(firstLines))],
    ['entries_have_cause', together(legs([first, { ...second, amount: 19 }]), entries(lines))],
    ['entries_have_cause', together(legs([first, { ...first, id: other, leg: 2 }]), entries(lines))],
    // A leg more of a transaction that is written.
    ['transactions_whole', together(legs([{ ...first, id: posted, leg: 2 }]), entries(firstLines.map(own)))],
    ['transactions_pkey', together(legs([{ ...first, id: posted }]), entries(firstLines.map(own)))],
    // Reversals of some of it, of less of it, in another order.
    [
      'transactions_within_original',
      together(legs([back(posted, fromJohn) as Movement]), entries(backLines.slice(0, 2))),
    ],
    [
      'transactions_within_original',
      together(
        legs([back(posted, { ...fromJohn, amount: 199 }), back(posted, fromFrank)] as Movement[]),
        entries([next(john, -199), next(eva, 199), next(frank, -100), next(eva, 100, 2, 299)]),
      ),
    ],
    [
      'transactions_within_original',
      together(
        legs([back(posted, { ...fromJohn, leg: 1 }), back(posted, { ...fromFrank, leg: 0 })] as Movement[]),
        entries(backLines),
      ),
    ],
  ]
  const answers: [string, string][] = []
  for (const [, statement] of refused) answers.push([await answerTo(service.unsafe(statement)), statement])
  expect(answers).toEqual(refused)

  // The same, unforged; a reversal is written once.
  const reversal = together(
    legs([back(posted, fromJohn), back(posted, fromFrank)] as Movement[]),
    entries(backLines),
  )
  expect(await answerTo(service.unsafe(reversal))).toBe('accepted')
  expect((await wallets.wallet.post(`/transactions/${posted}/reverse`, {})).status).toBe(409)
  const now = await forger(service)
  const again = { ...back(posted, fromJohn), id: crypto.randomUUID() } as Movement
  const twice = { ...back(posted, fromFrank), id: again.id } as Movement
  const all = backLines.map((line, index) => {
    const { version, balance } = now.at(line.account)
    const total = index === 3 ? 300 : line.amount
    const number = index === 3 ? 2 : 1
    return { ...line, transaction: again.id, version: version + number, balance: balance + total }
  })
  expect(await answerTo(service.unsafe(now.together(now.legs([again, twice]), now.entries(all))))).toBe(
    'transactions_within_original',
  )
  await expectSoundLedger(wallets)
})

test('a hold ends once, by what its entry says', async () => {
  await using wallets = await reuseWallet()
  await using service = connect(wallets.config.database.url)
  const placing = { account_id_from: eva, account_id_to: frank, amount: 5 }
  const [released, captured] = await Promise.all(
    [1, 2].map(async () => String((await wallets.wallet.post('/holds', placing)).body.id)),
  )
  expect((await wallets.wallet.post(`/holds/${released}/release`, {})).status).toBe(200)
  expect((await wallets.wallet.post(`/holds/${captured}/capture`, {})).status).toBe(201)
  for (const id of [released, captured])
    for (const change of [
      `status = 'placed', captured_minor = null, ended_by = null, ended_at = null, version_ended = null`,
      `status = 'expired'`,
      `captured_minor = 1`,
      `version_ended = 1`,
      `ended_actor = 'shop'`,
    ])
      expect(await answerTo(service.unsafe(`update holds set ${change} where id = '${id}'`))).toBe(
        'holds_end_once',
      )
  await expectSoundLedger(wallets)
})

test('a hold was captured by who made the transaction', async () => {
  await using wallets = await reuseWallet()
  await using service = connect(wallets.config.database.url)
  const placing = { account_id_from: eva, account_id_to: frank, amount: 5 }
  const hold = String((await wallets.wallet.post('/holds', placing)).body.id)
  const { entries, transaction, pair, together, at } = await forger(service)
  const id = crypto.randomUUID()
  const captureBy = (actor: string) =>
    together(
      transaction({ id, amount: 500, kind: 'capture', hold, actor: 'shop' }),
      `update holds set status = 'captured', captured_minor = 500, ended_by = '${id}', ended_at = now(),
        version_ended = ${at(eva).version + 1}, ended_actor = '${actor}'
      where id = '${hold}'`,
      entries(pair(id, 500, { held: -500 })),
    )
  expect(await answerTo(service.unsafe(captureBy('till')))).toBe('holds_booked')
  expect(await answerTo(service.unsafe(captureBy('shop')))).toBe('accepted')
  expect((await wallets.wallet.get(`/holds/${hold}`)).body.changed_actor).toBe('shop')
  await expectSoundLedger(wallets)
})

test('database functions pin their search path and belong to the owner role', async () => {
  await using wallets = await reuseWallet()
  const functions = await wallets.sql`
    select proname as name,
      coalesce(array_to_string(proconfig, '; '), '') ~ 'search_path=pg_catalog, public, pg_temp' as pinned,
      prosecdef as privileged, has_function_privilege('public', pg_proc.oid, 'execute') as callable
    from pg_proc where pronamespace = 'public'::regnamespace order by 1`
  expect(functions.length).toBeGreaterThanOrEqual(8)
  const expected = { pinned: true, callable: false }
  // They write what the service may not.
  const writing = [
    ...['apply_client_versions', 'assert_double_entry', 'capture_outbox_events'],
    ...['record_actors', 'record_client'],
  ]
  const privileged = (name: string) => writing.includes(name)
  expect([...functions]).toEqual(
    functions.map(({ name }) => ({ name, privileged: privileged(name), ...expected })),
  )
})

test('temporary tables do not hide the ledger from its checks, even where they are granted', async () => {
  await using wallets = await startWallets()
  await using service = connect(wallets.config.database.url)
  await wallets.sql.unsafe(
    `grant temporary on database ${new URL(wallets.config.database.url).pathname.slice(1)} to public`,
  )
  const { entries, transaction, pair, together, at } = await forger(service)
  const id = crypto.randomUUID()
  const forged = pair(id, 100, { version: at(eva).version + 5, balance: 999_999 })
  await service`create temporary table entries as select * from public.entries limit 0`
  await service`insert into pg_temp.entries
    select account_id, version + 4, transaction_id, amount_minor, 1000099, created_at, held_minor
    from public.entries where account_id = ${eva}`
  await service`create temporary table transactions as select * from public.transactions`
  await service`create temporary table holds as select * from public.holds`
  await service`set search_path = pg_temp, public`
  const statement = together(transaction({ id, amount: 100 }), entries(forged)).replace(
    /(update|insert into) (accounts|entries|transactions) /g,
    '$1 public.$2 ',
  )
  expect(await answerTo(service.unsafe(statement))).toBe('entries_follow_on')
  await expectSoundLedger(wallets)
})

test('what the role sets for itself does not reach the sessions of a wallet', async () => {
  await using wallets = await startWallets()
  await using service = connect(wallets.config.database.url)
  for (const setting of [
    'search_path = elsewhere',
    'default_transaction_read_only = on',
    "default_transaction_isolation = 'serializable'",
  ])
    await service.unsafe(`alter role current_user set ${setting}`)
  await wallets.cutConnections()
  const paid = async () =>
    (await wallets.wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 }))
      .status
  while ((await paid()) === 503);
  expect(await paid()).toBe(201)
  await expectSoundLedger(wallets)
})

test('a key that still stands for something stays, and one that has expired can go', async () => {
  await using wallets = await reuseWallet()
  await using service = connect(wallets.config.database.url)
  const deposit = (key: string) =>
    wallets.wallet.post(`/accounts/${eva}/deposits`, { amount: 1 }, { 'idempotency-key': key })
  for (const key of ['kept', 'old']) expect((await deposit(key)).status).toBe(201)
  await wallets.sql`update idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'`
  await service`delete from idempotency_keys`
  expect((await wallets.sql`select key from idempotency_keys`).map(({ key }) => key)).toEqual(['kept'])
  expect((await deposit('kept')).headers.get('idempotency-replayed')).toBe('true')
})
