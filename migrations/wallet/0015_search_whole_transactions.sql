DROP INDEX "transactions_reference";--> statement-breakpoint
DROP INDEX "transactions_metadata";--> statement-breakpoint
DROP INDEX "transactions_with_metadata";--> statement-breakpoint
CREATE INDEX "transactions_reference" ON "transactions" USING btree ("reference","created_at","id") WHERE "transactions"."reference" is not null and "transactions"."leg" = 0;--> statement-breakpoint
CREATE INDEX "transactions_metadata" ON "transactions" USING gin ((case when position('\u0000' in "metadata"::text) > 0 then null else "metadata"::jsonb end) jsonb_path_ops) WITH (fastupdate=false) WHERE "transactions"."metadata" is not null and "transactions"."leg" = 0;--> statement-breakpoint
CREATE INDEX "transactions_with_metadata" ON "transactions" USING btree ("created_at","id") WHERE "transactions"."metadata" is not null and "transactions"."leg" = 0;