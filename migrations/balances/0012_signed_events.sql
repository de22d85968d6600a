CREATE TABLE "signed_events" (
	"required" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"since" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "signed_events_one" CHECK ("signed_events"."required")
);
