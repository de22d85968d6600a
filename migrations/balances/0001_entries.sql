CREATE TABLE "entries" (
	"account_id" text collate "C" NOT NULL,
	"version" bigint NOT NULL,
	"amount_minor" bigint,
	"balance_minor" bigint NOT NULL,
	"held_minor" bigint NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"effective_at" timestamp(3) with time zone,
	"transaction_id" text,
	"hold_id" text,
	"counterparty_id" text,
	CONSTRAINT "entries_pkey" PRIMARY KEY("account_id","version"),
	CONSTRAINT "entries_version" CHECK ("entries"."version" > 0)
);
--> statement-breakpoint
ALTER TABLE "balances" ADD COLUMN "held_minor" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "entries_backdated" ON "entries" USING btree ("account_id","effective_at") WHERE "entries"."effective_at" is not null;