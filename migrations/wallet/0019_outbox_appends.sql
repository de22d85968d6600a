CREATE TABLE "outbox_events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"aggregatetype" text NOT NULL,
	"aggregateid" text NOT NULL,
	"type" text NOT NULL,
	"payload" text NOT NULL,
	"subject" text NOT NULL,
	"traceparent" text,
	"occurred_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "event_count" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "outbox" ALTER COLUMN "event_count" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "is_replay" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "events" text;--> statement-breakpoint
-- Compressed, a row would take the server longer than it takes to write it.
ALTER TABLE "outbox" ALTER COLUMN "events" SET STORAGE EXTERNAL;--> statement-breakpoint
-- What waits is an append of one event each. Nothing in it has a tab or a line break.
UPDATE "outbox" SET "events" = concat_ws(
	chr(9), "aggregatetype", "aggregateid", "type", "subject",
	to_char("occurred_at" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), coalesce("traceparent", '-'), "payload"
);
--> statement-breakpoint
ALTER TABLE "outbox" ALTER COLUMN "events" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "outbox" DROP COLUMN "aggregatetype";--> statement-breakpoint
ALTER TABLE "outbox" DROP COLUMN "aggregateid";--> statement-breakpoint
ALTER TABLE "outbox" DROP COLUMN "type";--> statement-breakpoint
ALTER TABLE "outbox" DROP COLUMN "payload";--> statement-breakpoint
ALTER TABLE "outbox" DROP COLUMN "subject";--> statement-breakpoint
ALTER TABLE "outbox" DROP COLUMN "traceparent";
--> statement-breakpoint
-- For change data capture, which reads the log of a table: each event is a row that is inserted and deleted at once. Of an append only personal data
-- is left for the relay, which adds it when it sends. Disabled until the owner enables it.
CREATE FUNCTION "public"."capture_outbox_events"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
	line text;
	parts text[];
	key text;
	subject text;
	happened text;
	trace text;
	captured bigint;
	left_over text[] := '{}';
BEGIN
	FOR line IN SELECT string_to_table(NEW.events, chr(10)) LOOP
		parts := string_to_array(line, chr(9));
		key := coalesce(nullif(parts[2], ''), key);
		subject := coalesce(nullif(parts[4], ''), subject);
		happened := coalesce(nullif(parts[5], ''), happened);
		trace := coalesce(nullif(parts[6], ''), trace);
		IF parts[1] = 'personal-data' THEN
			left_over := left_over || concat_ws(chr(9), parts[1], key, parts[3], subject, happened, trace, parts[7]);
		ELSE
			INSERT INTO public.outbox_events (aggregatetype, aggregateid, type, payload, subject, traceparent, occurred_at)
			VALUES (parts[1], key, parts[3], parts[7], subject, nullif(trace, '-'), happened::timestamptz)
			RETURNING id INTO captured;
			DELETE FROM public.outbox_events WHERE id = captured;
		END IF;
	END LOOP;
	IF cardinality(left_over) = 0 THEN
		RETURN NULL;
	END IF;
	NEW.events := array_to_string(left_over, chr(10));
	NEW.event_count := cardinality(left_over);
	RETURN NEW;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "public"."capture_outbox_events"() FROM PUBLIC;
--> statement-breakpoint
CREATE TRIGGER "outbox_captured" BEFORE INSERT ON "public"."outbox" FOR EACH ROW EXECUTE FUNCTION "public"."capture_outbox_events"();
--> statement-breakpoint
ALTER TABLE "public"."outbox" DISABLE TRIGGER "outbox_captured";
