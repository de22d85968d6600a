/** The database role that a service works with: it may do what it was granted, and nothing else, while another role owns the tables. */
import postgres from 'postgres'
import { arrayOf, violation } from './database'
import { SetupError } from './fault'

const verbs = ['select', 'insert', 'update', 'delete', 'truncate'] as const
/** What a service may do with each of its tables. */
export type Grants = Readonly<Record<string, readonly (typeof verbs)[number][]>>

/**
 * Creates the role of `serviceUrl` unless it exists, and grants it `grants`, no more and no less. For a session of the owner that holds the lock of
 * this database; other databases of the same server may be prepared at the same time, and share their roles with this one.
 */
export async function admitService(owner: postgres.Sql, serviceUrl: string, grants: Grants): Promise<void> {
  // As the driver will read it to log in; until a query comes, it does not connect. Typed as it is: text, empty when there is none.
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

  // Who owns a table needs no grant, and to take one away would break its foreign keys. Superusers count as owners of everything.
  const tables = Object.keys(grants)
  const [owned] = await owner`
    select from pg_tables
    where schemaname = 'public' and tablename = any(${arrayOf(tables)}::text[]) and pg_has_role(${user}, tableowner, 'member')
    limit 1`
  if (owned) return
  const statements = [
    `grant connect on database ${database} to ${role}`,
    `grant usage on schema public, drizzle to ${role}`,
    `grant select on drizzle.__drizzle_migrations to ${role}`,
    ...tables.flatMap((table) => [
      `revoke all on public.${table} from ${role}`,
      `grant ${grants[table]?.join()} on public.${table} to ${role}`,
    ]),
  ]
  // One message to the server is one transaction: a replica that is at work never sees the tables revoked and not yet granted.
  await owner.unsafe(statements.join(';'))
}

/** Without the password at first, because the server logs a statement that fails, and this one does when another database gets the same role. */
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
 * Whether the role of this session may do what it should. Answers what it may do beyond that, if anything; throws `SetupError` when it may do
 * less.
 */
export async function examineRole(service: postgres.Sql, grants: Grants): Promise<{ role: string; beyond?: string }> {
  const asked = Object.entries(grants).flatMap(([table, granted]) =>
    verbs.map((verb) => ({ table, verb, granted: granted.includes(verb) })),
  )
  const [row] = await service`
    select
      current_user as role,
      string_agg(verb || ' ' || relname, ', ') filter (where granted and not may) as missing,
      string_agg(verb || ' ' || relname, ', ') filter (where may and not granted) as beyond,
      bool_or(pg_has_role(relowner, 'member')) as owns
    from unnest(
      ${arrayOf(asked.map(({ table }) => `public.${table}`))}::regclass[], ${arrayOf(asked.map(({ verb }) => verb))}::text[],
      ${arrayOf(asked.map(({ granted }) => granted))}::boolean[]
    ) as asked (id, verb, granted)
    join pg_class on oid = id
    cross join has_table_privilege(id, verb) as may`
  if (row?.missing)
    throw new SetupError(
      `The role ${row.role} of DATABASE_URL may not: ${row.missing}. Start once with MIGRATION_DATABASE_URL, whose role grants it.`,
    )
  // An owner may grant itself whatever it lacks.
  return { role: row?.role, beyond: row?.owns ? 'everything, as an owner of the tables' : (row?.beyond ?? undefined) }
}
