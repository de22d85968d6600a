ALTER TABLE "balances" DROP CONSTRAINT "balances_digits";--> statement-breakpoint
ALTER TABLE "balances" DROP CONSTRAINT "balances_available";--> statement-breakpoint
ALTER TABLE "entries" DROP CONSTRAINT "entries_available";--> statement-breakpoint
ALTER TABLE "balances" ADD COLUMN "source" text;--> statement-breakpoint
ALTER TABLE "balances" ADD CONSTRAINT "balances_source" CHECK ("balances"."source" in ('versioned', 'versionless'));--> statement-breakpoint
ALTER TABLE "balances" ADD CONSTRAINT "balances_digits" CHECK (abs("balances"."balance_minor") <= 999999999999999999);--> statement-breakpoint
ALTER TABLE "balances" ADD CONSTRAINT "balances_available" CHECK ("balances"."held_minor" >= 0 and abs("balances"."balance_minor" - "balances"."held_minor") <= 999999999999999999);--> statement-breakpoint
ALTER TABLE "entries" ADD CONSTRAINT "entries_available" CHECK ("entries"."held_minor" >= 0 and abs("entries"."balance_minor" - "entries"."held_minor") <= 999999999999999999);--> statement-breakpoint
-- Of accounts that have moved: what the wallet tells names a transaction, the records of others do not. What was put in with the seed says nothing
-- of who moves the account from then on.
UPDATE "balances" SET "source" = CASE WHEN "entries"."transaction_id" IS NULL THEN 'versionless' ELSE 'versioned' END
FROM "entries"
WHERE "entries"."account_id" = "balances"."account_id" AND "entries"."version" = "balances"."version"
	AND "entries"."created_at" > (SELECT coalesce(min("applied_at"), '-infinity') FROM "applied_seeds");
