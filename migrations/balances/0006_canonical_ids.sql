-- Ids of the form of a UUID are in lower case from now on, however their events are written. Of ids that differ by their letter case alone each
-- stays as it is: which of them is right, only a rebuild can tell.
UPDATE "entries" SET "account_id" = lower("entries"."account_id")
FROM "balances"
WHERE "entries"."account_id" = "balances"."account_id"
	AND "balances"."account_id" ~ '[A-F]' AND "balances"."account_id" ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
	AND NOT EXISTS (
		SELECT FROM "balances" AS "twin"
		WHERE lower("twin"."account_id") = lower("balances"."account_id") AND "twin"."account_id" <> "balances"."account_id"
	);
--> statement-breakpoint
UPDATE "balances" SET "account_id" = lower("account_id")
WHERE "account_id" ~ '[A-F]' AND "account_id" ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
	AND NOT EXISTS (
		SELECT FROM "balances" AS "twin"
		WHERE lower("twin"."account_id") = lower("balances"."account_id") AND "twin"."account_id" <> "balances"."account_id"
	);
--> statement-breakpoint
UPDATE "balances" SET "client_id" = lower("client_id")
WHERE "client_id" ~ '[A-F]' AND "client_id" ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
--> statement-breakpoint
UPDATE "clients" SET "id" = lower("id")
WHERE "id" ~ '[A-F]' AND "id" ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
	AND NOT EXISTS (
		SELECT FROM "clients" AS "twin" WHERE lower("twin"."id") = lower("clients"."id") AND "twin"."id" <> "clients"."id"
	);
--> statement-breakpoint
UPDATE "large_movements" SET "account_id_from" = lower("account_id_from")
WHERE "account_id_from" ~ '[A-F]' AND "account_id_from" ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
--> statement-breakpoint
UPDATE "large_movements" SET "account_id_to" = lower("account_id_to")
WHERE "account_id_to" ~ '[A-F]' AND "account_id_to" ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
