CREATE TABLE "ledger_epochs" (
	"epoch" integer PRIMARY KEY NOT NULL,
	"accounts" bigint,
	"clients" bigint,
	"accounts_started" bigint DEFAULT 0 NOT NULL,
	"clients_started" bigint DEFAULT 0 NOT NULL,
	"voided" bigint DEFAULT 0 NOT NULL,
	"started_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"completed_at" timestamp(3) with time zone
);
--> statement-breakpoint
ALTER TABLE "balances" ADD COLUMN "epoch" integer;--> statement-breakpoint
ALTER TABLE "balances" ADD COLUMN "start_epoch" integer;--> statement-breakpoint
ALTER TABLE "balances" ADD COLUMN "start_version" bigint;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "epoch" integer;--> statement-breakpoint
ALTER TABLE "entries" ADD COLUMN "epoch" integer;