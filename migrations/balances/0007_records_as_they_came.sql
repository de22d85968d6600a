ALTER TABLE "dead_letters" DROP CONSTRAINT "dead_letters_origin";--> statement-breakpoint
ALTER TABLE "consumed_offsets" ADD COLUMN "last_offset" bigint;--> statement-breakpoint
ALTER TABLE "consumed_offsets" ADD COLUMN "last_checksum" text;--> statement-breakpoint
ALTER TABLE "dead_letters" ADD COLUMN "last_offset" bigint;--> statement-breakpoint
CREATE UNIQUE INDEX "dead_letters_origin" ON "dead_letters" USING btree ("cluster_id","topic","partition","record_offset",coalesce("record_at", 'epoch'::timestamptz),sha256(coalesce("value", ''::bytea)));