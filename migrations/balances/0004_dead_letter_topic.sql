DROP INDEX "dead_letters_cause";--> statement-breakpoint
ALTER TABLE "dead_letters" ADD COLUMN "attempts" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "dead_letters" ADD COLUMN "sent_at" timestamp(3) with time zone;--> statement-breakpoint
CREATE INDEX "dead_letters_unsent" ON "dead_letters" USING btree ("id") WHERE "dead_letters"."sent_at" is null;--> statement-breakpoint
CREATE INDEX "dead_letters_cause" ON "dead_letters" USING btree ("cause","id");