CREATE TABLE "applied_seeds" (
	"name" text PRIMARY KEY NOT NULL,
	"applied_at" timestamp(3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "balances" (
	"account_id" text PRIMARY KEY NOT NULL,
	"client_id" text,
	"currency" text NOT NULL,
	"balance_minor" bigint NOT NULL,
	"version" bigint NOT NULL,
	"opened" boolean NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "balances_currency" CHECK ("balances"."currency" ~ '^[A-Z]{3}$'),
	CONSTRAINT "balances_digits" CHECK (abs("balances"."balance_minor") <= 999999999999999),
	CONSTRAINT "balances_version" CHECK ("balances"."version" > 0 or ("balances"."version" = 0 and "balances"."balance_minor" = 0))
);
--> statement-breakpoint
CREATE TABLE "clients" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"email" text NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "consumed_offsets" (
	"cluster_id" text NOT NULL,
	"topic" text NOT NULL,
	"partition" integer NOT NULL,
	"next_offset" bigint NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "consumed_offsets_pkey" PRIMARY KEY("cluster_id","topic","partition"),
	CONSTRAINT "consumed_offsets_next" CHECK ("consumed_offsets"."next_offset" >= 0)
);
--> statement-breakpoint
CREATE TABLE "dead_letters" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "dead_letters_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"cluster_id" text NOT NULL,
	"topic" text NOT NULL,
	"partition" integer NOT NULL,
	"record_offset" bigint NOT NULL,
	"cause" text NOT NULL,
	"detail" text NOT NULL,
	"key" "bytea",
	"value" "bytea",
	"headers" json NOT NULL,
	"record_at" timestamp(3) with time zone,
	"recorded_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "dead_letters_origin" UNIQUE NULLS NOT DISTINCT("cluster_id","topic","partition","record_offset","record_at")
);
--> statement-breakpoint
CREATE INDEX "dead_letters_cause" ON "dead_letters" USING btree ("cause");