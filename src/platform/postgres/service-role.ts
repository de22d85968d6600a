/**
 * The database role that a service works with: it may do what it was granted, and nothing else,
 * while another role owns the tables.
 */
import postgres from 'postgres'
import { SetupError } from '../fault'
import { violation } from './failures'
import { arrayOf } from './statements'

const verbs = ['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'] as const
type Verb = (typeof verbs)[number]
/**
 * What a service may do with each of its tables: with all of its columns, or with those in
 * parentheses, as SQL has it.
 */
export type Grants = Readonly<Record<string, readonly (Verb | `${Verb} (${string})`)[]>>

/**
 * Creates the role of `serviceUrl` unless it exists, and grants it `grants`, no more and no less.
 * For a session of the owner that holds the lock of this database; other databases of the same
 * server may be prepared at the same time, and share their roles with this one.
 */
export async function provisionRole(owner: postgres.Sql, serviceUrl: string, grants: Grants): Promise<void> {
  // As the driver will read it to log in; until a query comes, it does not connect. Typed as it is:
  // text, empty when there is none.
  const { user, pass } = postgres(serviceUrl).options as unknown as { user: string; pass: string }
  const [asked] = await owner`
    select
      current_user as owner, quote_ident(current_database()) as database, quote_ident(${user}) as role,
      quote_literal(${pass}) as password,
      exists (select from pg_roles where rolname = ${user}) as exists,
      (select rolcreaterole or rolsuper from pg_roles where rolname = current_user) as may_create`
  if (!asked) throw new Error('PostgreSQL answered nothing')
  const { role, database } = asked

  if (!asked.exists) {
    if (!asked.may_create)
      throw new SetupError(
        `The role ${role} of DATABASE_URL does not exist, and ${asked.owner} may not create it. Run "create role ${role} login password '…'" ` +
          `with the password of DATABASE_URL, or "alter role ${asked.owner} createrole".`,
      )
    await createRole(owner, role, pass ? asked.password : undefined)
  }

  // Who owns a table needs no grant, and to take one away would break its foreign keys. Superusers
  // count as owners of everything.
  const tables = Object.keys(grants)
  const [owned] = await owner`
    select from pg_tables
    where schemaname = 'public' and tablename = any(${arrayOf(tables)}::text[]) and pg_has_role(${user}, tableowner, 'member')
    limit 1`
  if (owned) return
  const statements = [
    `grant connect on database ${database} to ${role}`,
    // Whoever makes tables of its own gives them the names of others. By default everybody may, in
    // every database.
    `revoke temporary, create on database ${database} from public, ${role}`,
    `revoke create on schema public from public, ${role}`,
    `grant usage on schema public, drizzle to ${role}`,
    `grant select on drizzle.__drizzle_migrations to ${role}`,
    ...tables.flatMap((table) => [
      `revoke all on public.${table} from ${role}`,
      `grant ${grants[table]?.join()} on public.${table} to ${role}`,
    ]),
  ]
  // One message to the server is one transaction: a replica that is at work never sees the tables
  // revoked and not yet granted.
  await owner.unsafe(statements.join(';'))
}

/**
 * Without the password at first, because the server logs a statement that fails, and this one does
 * when another database gets the same role.
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
 * Whether the role of this session may do what it should. Answers what it may do beyond that, if
 * anything; throws `SetupError` when it may do less.
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
        ${arrayOf(expected.map(({ table }) => table))}::regclass[], ${arrayOf(expected.map(({ verb }) => verb))}::text[],
        ${arrayOf(expected.map(({ columns }) => columns))}::text[]
      ) as expected (id, verb, columns)
      join pg_class on oid = id
    ), compared as (
      select relname, verb, granted, may, string_agg(attname, ', ' order by attnum) as columns, count(*) over whole as parts
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
      select verb || ' ' || relname || case when parts > 1 then ' (' || columns || ')' else '' end as name, granted, may
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
      where pronamespace = 'public'::regnamespace and prorettype = 'trigger'::regtype and has_function_privilege(oid, 'execute')
      union all
      -- What a role sets for itself counts for every session that it begins.
      select 'begin its sessions with ' || setting, false, true
      from pg_db_role_setting, unnest(setconfig) as setting
      where setrole = current_user::regrole and setdatabase in (0, (select oid from pg_database where datname = current_database()))
    )
    select
      current_user as role,
      (select string_agg(name, ', ' order by name) from named where granted) as missing,
      (select string_agg(name, ', ' order by name) from named where not granted) as beyond,
      (select bool_or(pg_has_role(relowner, 'member')) from expected) as owns`
  if (row?.missing)
    throw new SetupError(
      `The role ${row.role} of DATABASE_URL may not: ${row.missing}. Start once with MIGRATION_DATABASE_URL, whose role grants it.`,
    )
  // An owner may grant itself whatever it lacks.
  return {
    role: row?.role,
    beyond: row?.owns ? 'everything, as an owner of the tables' : (row?.beyond ?? undefined),
  }
}

/** The columns that a verb is granted on: `*` for all, otherwise a list without blanks, empty for none. */
function columnsOf(granted: Grants[string], verb: Verb): string {
  if (granted.some((one) => one === verb)) return '*'
  const columns = granted.find((one) => one.startsWith(`${verb} (`))
  return columns?.replace(/^.*\(|\)$|\s/g, '') ?? ''
}
