CREATE TABLE "changes" (
	"xid" "xid8" PRIMARY KEY DEFAULT pg_current_xact_id() NOT NULL,
	"applied_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"size" integer NOT NULL,
	"account_ids" text[] NOT NULL,
	"versions" bigint[] NOT NULL
);
