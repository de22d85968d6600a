/** What a database role may do, as the `grants.ts` of a service writes it. */
import { openDatabase } from '../platform/postgres/database'

/** The verbs of a role by table: with its columns in parentheses where it has not all of them. */
export async function privilegesOf(url: string, role: string): Promise<Record<string, string[]>> {
  const { sql, close } = openDatabase({ url, poolMax: 1, prepare: false, applicationName: 'test' })
  const rows = await sql<{ table: string; verbs: string[] }[]>`
    select relname as table, json_agg(name order by name) as verbs
    from (
      select relname, lower(privilege_type) as name from pg_class, aclexplode(relacl)
      where grantee = ${role}::text::regrole and relnamespace = 'public'::regnamespace
      union all
      select relname, lower(privilege_type) || ' (' || string_agg(attname, ', ' order by attnum) || ')'
      from pg_class join pg_attribute on attrelid = pg_class.oid, aclexplode(attacl)
      where grantee = ${role}::text::regrole and relnamespace = 'public'::regnamespace
      group by relname, privilege_type
    ) as granted
    group by 1`
  await close()
  return comparable(Object.fromEntries(rows.map(({ table, verbs }) => [table, verbs])))
}

/** Verbs and columns in one order. */
export const comparable = (grants: Readonly<Record<string, readonly string[]>>): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(grants)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([table, verbs]) => [table, verbs.map(inOrder).toSorted()]),
  )

const inOrder = (verb: string): string =>
  verb.replace(/\((.*)\)/, (_, columns) => `(${columns.split(', ').toSorted().join(', ')})`)
