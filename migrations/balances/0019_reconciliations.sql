CREATE TABLE "reconciliations" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "reconciliations_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"watermark" timestamp(3) with time zone NOT NULL,
	"result" text NOT NULL,
	"differences_total" integer NOT NULL,
	"report" text NOT NULL,
	"key_id" text,
	"jws" text,
	"stored_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "reconciliations_results" CHECK ("reconciliations"."result" in ('clean', 'different', 'pending'))
);
--> statement-breakpoint
CREATE INDEX "reconciliations_result" ON "reconciliations" USING btree ("result","id");