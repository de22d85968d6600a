CREATE TABLE "append_deliveries" (
	"occurred_at" timestamp (3) with time zone NOT NULL,
	"published_at" timestamp (3) with time zone NOT NULL,
	"subjects" uuid[] NOT NULL,
	"legs" smallint[],
	"runs" text NOT NULL
);
--> statement-breakpoint
CREATE INDEX "append_deliveries_occurred_at" ON "append_deliveries" USING btree ("occurred_at");--> statement-breakpoint
-- Ids do not compress.
ALTER TABLE "append_deliveries" ALTER COLUMN "subjects" SET STORAGE EXTERNAL;
