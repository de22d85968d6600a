CREATE TABLE "holds" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id_from" uuid NOT NULL,
	"account_id_to" uuid NOT NULL,
	"amount_minor" bigint NOT NULL,
	"currency" text NOT NULL,
	"reference" text,
	"metadata" json,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"status" text NOT NULL,
	"captured_minor" bigint,
	"ended_by" uuid,
	"ended_at" timestamp (3) with time zone,
	"version_placed" bigint NOT NULL,
	"version_ended" bigint,
	CONSTRAINT "holds_amount" CHECK ("holds"."amount_minor" > 0),
	CONSTRAINT "holds_captured" CHECK ("holds"."captured_minor" between 0 and "holds"."amount_minor"),
	CONSTRAINT "holds_status" CHECK ("holds"."status" in ('placed', 'captured', 'released', 'expired')),
	CONSTRAINT "holds_ended" CHECK (("holds"."status" = 'placed') = ("holds"."ended_by" is null))
);
--> statement-breakpoint
ALTER TABLE "accounts" DROP CONSTRAINT "accounts_overdraft";--> statement-breakpoint
ALTER TABLE "entries" DROP CONSTRAINT "entries_amount";--> statement-breakpoint
ALTER TABLE "idempotency_keys" DROP CONSTRAINT "idempotency_keys_answer";--> statement-breakpoint
ALTER TABLE "transactions" DROP CONSTRAINT "transactions_kind";--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "held_minor" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "entries" ADD COLUMN "held_minor" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD COLUMN "outcomes" json;--> statement-breakpoint
-- Keys that are in use keep what they stand for.
UPDATE "idempotency_keys" SET "outcomes" = json_build_array(CASE
	WHEN "rejection" IS NULL THEN json_build_object('transaction', "transaction_id")
	ELSE json_build_object('rejection', "rejection")
END);--> statement-breakpoint
ALTER TABLE "idempotency_keys" ALTER COLUMN "outcomes" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "metadata" json;--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "reverses" uuid;--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "hold_id" uuid;--> statement-breakpoint
CREATE INDEX "holds_open" ON "holds" USING btree ("account_id_from") WHERE "holds"."status" = 'placed';--> statement-breakpoint
CREATE INDEX "holds_expiry" ON "holds" USING btree ("expires_at") WHERE "holds"."status" = 'placed';--> statement-breakpoint
CREATE INDEX "transactions_reverses" ON "transactions" USING btree ("reverses") WHERE "transactions"."reverses" is not null;--> statement-breakpoint
ALTER TABLE "idempotency_keys" DROP COLUMN "transaction_id";--> statement-breakpoint
ALTER TABLE "idempotency_keys" DROP COLUMN "rejection";--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_held" CHECK ("accounts"."held_minor" >= 0);--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_overdraft" CHECK ("accounts"."balance_minor" - "accounts"."held_minor" >= -"accounts"."overdraft_limit_minor");--> statement-breakpoint
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_reverses" CHECK (("transactions"."kind" = 'reversal') = ("transactions"."reverses" is not null));--> statement-breakpoint
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_hold" CHECK (("transactions"."kind" = 'capture') = ("transactions"."hold_id" is not null));--> statement-breakpoint
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_kind" CHECK ("transactions"."kind" in ('transfer', 'deposit', 'withdrawal', 'reversal', 'capture'));