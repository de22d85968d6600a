ALTER TABLE "balances" ADD COLUMN "status" text DEFAULT 'open' NOT NULL;--> statement-breakpoint
ALTER TABLE "balances" ADD COLUMN "overdraft_limit_minor" bigint;--> statement-breakpoint
ALTER TABLE "balances" ADD COLUMN "opening_limit_minor" bigint;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "version" bigint DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "entries" ADD COLUMN "status" text;--> statement-breakpoint
ALTER TABLE "entries" ADD COLUMN "overdraft_limit_minor" bigint;