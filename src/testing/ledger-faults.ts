/** Invariants of the ledger, checked by its tables alone. Shares no code with the wallet. */
import type { Sql } from 'postgres'

/**
 * Violations of the ledger's invariants, in words; empty when it is sound. One statement, so one
 * snapshot: wallets may write meanwhile.
 */
export async function findFaults(sql: Sql): Promise<string[]> {
  const rows = await sql<{ fault: string }[]>`
    with lines as (
      select *,
        coalesce(lag(version) over history, 0) as version_before,
        coalesce(lag(balance_minor) over history, 0) as balance_before,
        coalesce(lag(held_minor) over history, 0) as held_before,
        lead(version) over history is null as is_newest
      from entries
      window history as (partition by account_id order by version)
    ), expected as (
      -- The entries that transactions, holds and changes require.
      select transactions.id, transactions.account_id_from as account_id, version_from as version,
        -transactions.amount_minor as amount, -coalesce(holds.amount_minor, 0) as held
      from transactions left join holds on holds.id = transactions.hold_id
      union all
      select id, account_id_to, version_to, amount_minor, 0 from transactions
      union all
      select id, account_id_from, version_placed, 0, amount_minor from holds
      union all
      select ended_by, account_id_from, version_ended, 0, -amount_minor
      from holds where status in ('released', 'expired')
      union all
      select id, account_id, version, 0, 0 from changes
    ), terms as (
      -- Before each entry.
      select lines.*, coalesce(past.status, 'open') as status_before
      from lines left join lateral (
        select status from changes
        where account_id = lines.account_id and version < lines.version order by version desc limit 1
      ) as past on true
    ), newest as (
      select distinct on (account_id) account_id, status, overdraft_limit_minor
      from changes order by account_id, version desc
    ), extended as (
      select distinct on (hold_id) hold_id, expires_at, version
      from changes where kind = 'expiry' order by hold_id, version desc
    )
    select currency || ' does not add up to zero' as fault
    from accounts group by currency having sum(balance_minor) <> 0
    union all
    select 'entry ' || account_id || ':' || version || ' does not follow on' from lines
    where version <> version_before + 1 or balance_minor <> balance_before + amount_minor or held_minor < 0
    union all
    select 'entry ' || account_id || ':' || version || ' does not match its transaction, hold or change'
    from lines full join expected using (account_id, version)
    where (lines.transaction_id, lines.amount_minor, lines.held_minor - lines.held_before)
      is distinct from (expected.id, expected.amount, expected.held)
    union all
    select 'transaction ' || transaction_id || ' does not add up to zero'
    from entries group by transaction_id having sum(amount_minor) <> 0
    union all
    select 'account ' || id || ' does not match its newest entry'
    from accounts left join lines on lines.account_id = id and is_newest
    where (accounts.version, accounts.balance_minor, accounts.held_minor) is distinct from
      (coalesce(lines.version, 0), coalesce(lines.balance_minor, 0), coalesce(lines.held_minor, 0))
    union all
    select 'account ' || accounts.id || ' has held funds that differ from its open holds'
    from accounts left join holds on account_id_from = accounts.id and holds.status = 'placed'
    group by accounts.id having held_minor <> coalesce(sum(amount_minor), 0)
    union all
    select 'account ' || id || ' is overdrawn' from accounts
    where balance_minor - held_minor < -overdraft_limit_minor
    union all
    select 'account ' || id || ' does not match its newest change'
    from accounts left join newest on account_id = id
    where accounts.status <> coalesce(newest.status, 'open')
      or accounts.overdraft_limit_minor <> newest.overdraft_limit_minor
    union all
    select 'entry ' || account_id || ':' || version || ' of an account that is ' || status_before from terms
    where status_before = 'closed' or (status_before = 'frozen' and amount_minor > 0)
      or (status_before <> 'open' and (amount_minor < 0 or held_minor > held_before))
    union all
    select 'account ' || lines.account_id || ' was closed with money in it'
    from lines join changes using (account_id, version)
    where status = 'closed' and (balance_minor <> 0 or held_minor <> 0)
    union all
    select 'hold ' || holds.id || ' does not match its newest extension'
    from holds join extended on hold_id = id
    where version_extended is distinct from extended.version or holds.expires_at > extended.expires_at
    union all
    select 'client ' || clients.id || ' does not match its versions'
    from clients left join client_versions on client_id = clients.id
    group by clients.id
    having clients.version <> count(*) or clients.version <> max(client_versions.version)
      or (clients.erased_at is not null) <> bool_or(is_erasure)
    union all
    select 'client ' || id || ' has not the personal data of its versions'
    from clients
    left join (select client_id as id, count(*) as versions from personal_data group by client_id) as personal
      using (id)
    where coalesce(versions, 0) <> case when erased_at is null then version else 0 end
      or (erased_at is null) = exists (select from erasures where client_id = id)
    union all
    select 'transaction ' || original.id || ' does not match its reversals'
    from (
      select *, (select count(*) from transactions as one where one.id = made.reverses) as legs
      from transactions as made where reverses is not null
    ) as reversal
    left join transactions as original
      on original.id = reversal.reverses and original.leg = reversal.legs - 1 - reversal.leg
    group by original.id, original.leg, reversal.legs
    having original.id is null or original.kind = 'reversal'
      or sum(reversal.amount_minor) > original.amount_minor
      or (reversal.legs > 1 and (count(*) > 1 or sum(reversal.amount_minor) <> original.amount_minor))
      or bool_or(reversal.account_id_from <> original.account_id_to
        or reversal.account_id_to <> original.account_id_from)
    union all
    select 'transaction ' || id || ' does not have its legs'
    from transactions group by id, reverses
    having count(*) <> max(leg) + 1 or (count(*) > 1) <> case min(kind)
      when 'reversal' then (select count(*) from transactions as one where one.id = transactions.reverses) > 1
      else min(kind) = 'postings'
    end or count(distinct (kind, currency, reference, metadata::text, effective_at, created_at)) > 1
    union all
    select 'transaction ' || dated.id || ' is effective before the one it refers to'
    from transactions as dated
    left join transactions as original on original.id = dated.reverses
    left join holds on holds.id = dated.hold_id
    where dated.effective_at < coalesce(original.effective_at, holds.created_at)
    union all
    select 'hold ' || holds.id || ' did not end as its status says'
    from holds left join transactions on hold_id = holds.id
    group by holds.id
    having case status
      when 'placed' then count(transactions.id) > 0 or captured_minor is not null or ended_at is not null
      when 'captured' then count(*) > 1 or not bool_and(
        transactions.id = ended_by and transactions.amount_minor = captured_minor and kind = 'capture'
        and transactions.account_id_from = holds.account_id_from
        and transactions.account_id_to = holds.account_id_to
      ) is not distinct from true
      else count(transactions.id) > 0 or captured_minor <> 0
        or (status = 'expired' and ended_at < expires_at)
    end
    union all
    select 'key ' || key || ' refers to a missing result'
    from idempotency_keys, json_array_elements(outcomes) as outcome
    where outcome ->> 'rejection' is null
      and not exists (select from transactions where id = (outcome ->> 'transaction')::uuid)
      and not exists (select from holds where id = coalesce(outcome ->> 'placed', outcome ->> 'ended')::uuid)
      and not exists (select from clients where id = (outcome ->> 'client')::uuid)
      and not exists (select from accounts where id = (outcome ->> 'account')::uuid)
    limit 20`
  return rows.map(({ fault }) => fault)
}

/**
 * The same for an outbox that no relay empties: each fact has its events in order, a notification and
 * one for each leg, and their balances are those of the entries.
 */
export async function findOutboxFaults(sql: Sql): Promise<string[]> {
  const rows = await sql<{ fault: string }[]>`
    with facts as (
      select id, case when count(*) > 1 then 'PostingsCreated' else 'TransactionCreated' end as event,
        count(*)::int as legs
      from transactions group by id
      union all
      select id, 'HoldPlaced', 1 from holds
      union all
      select ended_by, 'HoldReleased', 1 from holds where status in ('released', 'expired')
      union all
      select id, case kind when 'expiry' then 'HoldExtended' else 'AccountUpdated' end, 1 from changes
    ), events as (
      select row_number() over (order by id, number) as position, parts[3] as type,
        parts[7]::json -> 'Payload' as payload
      from outbox
      cross join lateral string_to_table(events, chr(10)) with ordinality as lines (line, number)
      cross join lateral string_to_array(line, chr(9)) as parts
      where parts[1] in ('transactions', 'balances') or parts[3] = 'AccountUpdated'
    ), emitted as (
      select coalesce(payload ->> 'transaction_id', payload ->> 'change_id', payload ->> 'id') as about,
        array_agg(type order by position) as types
      -- HoldReleased has the id of the hold, its BalanceUpdated that of the release.
      from events where type <> 'HoldReleased' group by about
    ), balances as (
      select payload ->> ('account_id_' || side) as account_id,
        (payload ->> ('version_account_id_' || side))::bigint as version,
        (payload ->> ('balance_account_id_' || side))::numeric as balance,
        (payload ->> ('held_account_id_' || side))::numeric as held,
        10::numeric ^ case payload ->> 'currency' when 'JPY' then 0 when 'BHD' then 3 else 2 end as minor
      from events, unnest(array['from', 'to']) as side
      where type = 'BalanceUpdated'
    )
    select concat(event, ' of ', id, ' was emitted as ', types::text, ' about ', about) as fault
    from facts full join emitted on about = id::text
    where types is distinct from (
      case event when 'HoldReleased' then array['BalanceUpdated']
        else array[event] || array_fill('BalanceUpdated'::text, array[legs]) end)
    union all
    select count(*) || ' releases were emitted' from events where type = 'HoldReleased'
    having count(*) <> (select count(*) from facts where event = 'HoldReleased')
    union all
    select concat('the balance of ', balances.account_id, ':', balances.version, ' was emitted as ', balance)
    from balances
    left join entries on entries.account_id = balances.account_id::uuid and entries.version = balances.version
    where (balance * minor, held * minor) is distinct from
      (coalesce(entries.balance_minor, 0)::numeric, coalesce(entries.held_minor, 0)::numeric)
    limit 20`
  return rows.map(({ fault }) => fault)
}
