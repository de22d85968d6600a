CREATE TABLE "deliveries" (
	"offset" bigint NOT NULL,
	"published_at" timestamp (3) with time zone NOT NULL,
	"partition" integer NOT NULL,
	"subject" uuid NOT NULL,
	"event" text NOT NULL,
	CONSTRAINT "deliveries_pkey" PRIMARY KEY("subject","event")
);
