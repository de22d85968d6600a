-- PL/pgSQL plans the checks once per session, for as many rows as the first batch happened to have. After a large one it would read whole
-- tables ever after, for a lone transfer too. Each check looks up few rows by primary key, whatever the size of the tables: say so.
ALTER FUNCTION "assert_double_entry"() SET enable_seqscan = off;
--> statement-breakpoint
ALTER FUNCTION "assert_double_entry"() SET enable_hashjoin = off;
--> statement-breakpoint
ALTER FUNCTION "assert_double_entry"() SET enable_mergejoin = off;
