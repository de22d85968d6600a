DROP INDEX "accounts_client_id";--> statement-breakpoint
DROP INDEX "holds_open";--> statement-breakpoint
CREATE INDEX "accounts_currency_id" ON "accounts" USING btree ("currency","id") WHERE "accounts"."client_id" is not null;--> statement-breakpoint
CREATE INDEX "clients_email" ON "clients" USING btree (lower("email"),"id");--> statement-breakpoint
CREATE INDEX "holds_account_id" ON "holds" USING btree ("account_id_from","id");--> statement-breakpoint
CREATE INDEX "accounts_client_id" ON "accounts" USING btree ("client_id","id");--> statement-breakpoint
CREATE INDEX "holds_open" ON "holds" USING btree ("account_id_from","id") WHERE "holds"."status" = 'placed';