CREATE TABLE "ledger_epochs" (
	"epoch" integer PRIMARY KEY NOT NULL,
	"id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"cause" text NOT NULL,
	"evidence" text,
	"started_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"with_history" boolean DEFAULT false NOT NULL,
	"clients_after" uuid,
	"accounts_after" uuid,
	"clients" bigint DEFAULT 0 NOT NULL,
	"accounts" bigint DEFAULT 0 NOT NULL,
	"completed_at" timestamp (3) with time zone,
	CONSTRAINT "ledger_epochs_epoch" CHECK ("ledger_epochs"."epoch" > 0),
	CONSTRAINT "ledger_epochs_cause" CHECK ("ledger_epochs"."cause" in ('first', 'restored', 'detected', 'requested'))
);
--> statement-breakpoint
INSERT INTO "ledger_epochs" ("epoch", "cause", "completed_at") VALUES (1, 'first', now());
