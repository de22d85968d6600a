CREATE TABLE "reaction_last_records" (
	"group_id" text NOT NULL,
	"cluster_id" text NOT NULL,
	"topic" text NOT NULL,
	"partition" integer NOT NULL,
	"last_offset" bigint NOT NULL,
	"last_checksum" text NOT NULL,
	CONSTRAINT "reaction_last_records_pkey" PRIMARY KEY("group_id","cluster_id","topic","partition")
);
