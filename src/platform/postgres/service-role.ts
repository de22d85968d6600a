/** The database role of a service: it has exactly its grants, while another role owns the tables. */
import postgres from 'postgres'
import { SetupError } from '../fault'
import { violation } from './failures'
import { arrayOf } from './statements'

const verbs = ['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'] as const
type Verb = (typeof verbs)[number]
/** Privileges by table: on all columns, or on those in parentheses, as in SQL. */
export type Grants = Readonly<Record<string, readonly (Verb | `${Verb} (${string})`)[]>>

/**
 * Creates the role of `serviceUrl` unless it exists, and grants it exactly `grants`. The caller holds
 * the preparation lock of this database. Other databases of the same server share the role, and may be
 * prepared at the same time.
 */
export async function provisionRole(owner: postgres.Sql, serviceUrl: string, grants: Grants): Promise<void> {
  // Parsed by the driver itself, which does not connect before the first query. Both are text, empty
  // when absent.
  const { user, pass } = postgres(serviceUrl).options as unknown as { user: string; pass: string }
  const [context] = await owner`
    select
      current_user as owner, quote_ident(current_database()) as database, quote_ident(${user}) as role,
      quote_literal(${pass}) as password,
      exists (select from pg_roles where rolname = ${user}) as exists,
      (select rolcreaterole or rolsuper from pg_roles where rolname = current_user) as may_create`
  if (!context) throw new Error('empty result from PostgreSQL')
  const { role, database } = context

  if (!context.exists) {
    if (!context.may_create)
      throw new SetupError(
        `The role ${role} of DATABASE_URL does not exist, and ${context.owner} may not create it. ` +
          `Run "create role ${role} login password '…'" with the password of DATABASE_URL, ` +
          `or "alter role ${context.owner} createrole".`,
      )
    await createRole(owner, role, pass ? context.password : undefined)
  }

  // Owners need no grants, and revoking theirs would break foreign keys. Superusers own everything.
  const tables = Object.keys(grants)
  const [owned] = await owner`
    select from pg_tables
    where schemaname = 'public' and tablename = any(${arrayOf(tables)}::text[])
      and pg_has_role(${user}, tableowner, 'member')
    limit 1`
  if (owned) return
  const statements = [
    `grant connect on database ${database} to ${role}`,
    // Temporary tables and schemas of its own could shadow ours. By default any role may create them.
    `revoke temporary, create on database ${database} from public, ${role}`,
    `revoke create on schema public from public, ${role}`,
    `grant usage on schema public, drizzle to ${role}`,
    `grant select on all tables in schema drizzle to ${role}`,
    ...tables.flatMap((table) => [
      `revoke all on public.${table} from ${role}`,
      `grant ${grants[table]?.join()} on public.${table} to ${role}`,
    ]),
  ]
  // One message is one transaction: a running replica never sees its privileges missing.
  await owner.unsafe(statements.join(';'))
}

/**
 * Sets the password separately: the server logs failing statements, and this one fails in a race for
 * the role.
 */
async function createRole(owner: postgres.Sql, role: string, password: string | undefined): Promise<void> {
  try {
    await owner.begin(async (tx) => {
      await tx.unsafe(`create role ${role} login`)
      if (password) await tx.unsafe(`alter role ${role} password ${password}`)
    })
  } catch (error) {
    const { sqlState = '' } = violation(error) ?? {}
    if (!['42710', '23505'].includes(sqlState)) throw error
  }
}

/**
 * Compares the role's privileges with its grants: throws `SetupError` for missing ones, returns excess
 * ones.
 */
export async function checkRole(
  service: postgres.Sql,
  grants: Grants,
): Promise<{ role: string; beyond?: string }> {
  const expected = Object.entries(grants).flatMap(([table, granted]) =>
    verbs.map((verb) => ({ table: `public.${table}`, verb, columns: columnsOf(granted, verb) })),
  )
  const [row] = await service`
    with expected as (
      select id, relname, relowner, verb, columns
      from unnest(
        ${arrayOf(expected.map(({ table }) => table))}::regclass[],
        ${arrayOf(expected.map(({ verb }) => verb))}::text[],
        ${arrayOf(expected.map(({ columns }) => columns))}::text[]
      ) as expected (id, verb, columns)
      join pg_class on oid = id
    ), compared as (
      select relname, verb, granted, may, string_agg(attname, ', ' order by attnum) as columns,
        count(*) over whole as parts
      from expected
      join pg_attribute on attrelid = id and attnum > 0 and not attisdropped
      cross join lateral (
        select columns = '*' or attname = any (string_to_array(columns, ',')) as granted,
          case when verb in ('delete', 'truncate', 'trigger') then has_table_privilege(id, verb)
            else has_column_privilege(id, attnum, verb) end as may
      ) as compared
      group by relname, verb, granted, may
      window whole as (partition by relname, verb)
    ), named as (
      select verb || ' ' || relname || case when parts > 1 then ' (' || columns || ')' else '' end as name,
        granted, may
      from compared where granted <> may
      union all
      select name, false, true
      from (values
        ('create temporary tables', has_database_privilege(current_database(), 'temporary')),
        ('create schemas', has_database_privilege(current_database(), 'create')),
        ('create tables', has_schema_privilege('public', 'create'))
      ) as others (name, may)
      where may
      union all
      select 'call ' || proname, false, true from pg_proc
      where pronamespace = 'public'::regnamespace and prorettype = 'trigger'::regtype
        and has_function_privilege(oid, 'execute')
      union all
      -- A role's own settings apply to all its sessions.
      select 'begin its sessions with ' || setting, false, true
      from pg_db_role_setting, unnest(setconfig) as setting
      where setrole = current_user::regrole
        and setdatabase in (0, (select oid from pg_database where datname = current_database()))
    )
    select
      current_user as role,
      (select string_agg(name, ', ' order by name) from named where granted) as missing,
      (select string_agg(name, ', ' order by name) from named where not granted) as beyond,
      (select bool_or(pg_has_role(relowner, 'member')) from expected) as owns`
  if (row?.missing)
    throw new SetupError(
      `The role ${row.role} of DATABASE_URL may not: ${row.missing}. ` +
        'Start once with MIGRATION_DATABASE_URL, whose role grants it.',
    )
  // An owner can grant itself anything.
  return {
    role: row?.role,
    beyond: row?.owns ? 'everything, as an owner of the tables' : (row?.beyond ?? undefined),
  }
}

/** The columns with a privilege: `*` for all, a list without spaces, or empty for none. */
function columnsOf(granted: Grants[string], verb: Verb): string {
  if (granted.some((one) => one === verb)) return '*'
  const columns = granted.find((one) => one.startsWith(`${verb} (`))
  return columns?.replace(/^.*\(|\)$|\s/g, '') ?? ''
}
