CREATE TABLE "large_movements" (
	"transaction_id" text collate "C" PRIMARY KEY NOT NULL,
	"account_id_from" text NOT NULL,
	"account_id_to" text NOT NULL,
	"amount_minor" bigint NOT NULL,
	"currency" text NOT NULL,
	"reference" text,
	"created_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "large_movements_newest" ON "large_movements" USING btree ("created_at","transaction_id");--> statement-breakpoint
CREATE INDEX "large_movements_from" ON "large_movements" USING btree ("account_id_from");--> statement-breakpoint
CREATE INDEX "large_movements_to" ON "large_movements" USING btree ("account_id_to");