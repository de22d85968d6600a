CREATE TABLE "erasures" (
	"client_id" uuid PRIMARY KEY NOT NULL,
	"erased_at" timestamp (3) with time zone NOT NULL,
	"purged_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "personal_data" (
	"client_id" uuid NOT NULL,
	"version" bigint NOT NULL,
	"name" text NOT NULL,
	"email" text NOT NULL,
	CONSTRAINT "personal_data_pkey" PRIMARY KEY("client_id","version")
);
--> statement-breakpoint
INSERT INTO "personal_data" ("client_id", "version", "name", "email")
SELECT "client_id", "version", "name", "email" FROM "client_versions";
--> statement-breakpoint
DROP INDEX "clients_email";--> statement-breakpoint
ALTER TABLE "client_versions" ADD COLUMN "is_erasure" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "erased_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "erasures_pending" ON "erasures" USING btree ("client_id") WHERE "erasures"."purged_at" is null;--> statement-breakpoint
CREATE INDEX "personal_data_email" ON "personal_data" USING btree (lower("email"),"client_id");--> statement-breakpoint
ALTER TABLE "client_versions" DROP COLUMN "name";--> statement-breakpoint
ALTER TABLE "client_versions" DROP COLUMN "email";--> statement-breakpoint
ALTER TABLE "clients" DROP COLUMN "name";--> statement-breakpoint
ALTER TABLE "clients" DROP COLUMN "email";
--> statement-breakpoint
-- Dropped columns stay in the rows until these are written again.
CLUSTER "client_versions" USING "client_versions_pkey";
--> statement-breakpoint
CLUSTER "clients" USING "clients_pkey";
--> statement-breakpoint
-- They are on another topic from now on.
INSERT INTO "outbox" ("aggregatetype", "aggregateid", "type", "payload", "subject", "occurred_at")
SELECT 'personal-data', "clients"."id", 'PersonalDataRecorded', '{}', "client_versions"."id", "updated_at"
FROM "clients" JOIN "client_versions" ON "client_id" = "clients"."id" AND "client_versions"."version" = "clients"."version"
ORDER BY "clients"."id";
--> statement-breakpoint
CREATE OR REPLACE FUNCTION "public"."record_client"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
	INSERT INTO public.client_versions (client_id, version, id, actor, created_at)
	VALUES (NEW.id, 1, NEW.id, NEW.actor, NEW.created_at);
	RETURN NULL;
END
$$;
--> statement-breakpoint
-- Each version has its personal data, unless it erases all of it, after which there is no other. An erasure is carried out here: nobody else may delete.
CREATE OR REPLACE FUNCTION "public"."apply_client_versions"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	fault text;
BEGIN
	SELECT made.client_id INTO fault
	FROM made
	LEFT JOIN public.clients ON clients.id = made.client_id
	LEFT JOIN public.client_versions AS previous ON previous.client_id = made.client_id AND previous.version = made.version - 1
	LEFT JOIN public.personal_data AS personal ON personal.client_id = made.client_id AND personal.version = made.version
	WHERE clients.id IS NULL OR (previous.version IS NULL) <> (made.version = 1) OR previous.is_erasure
		OR (personal.version IS NULL) <> made.is_erasure
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'versions of client % do not follow on', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'client_versions_follow_on';
	END IF;

	UPDATE public.clients
	SET version = latest.version, changed_actor = latest.actor, updated_at = latest.created_at,
		erased_at = CASE WHEN latest.is_erasure THEN latest.created_at END
	FROM (SELECT DISTINCT ON (client_id) * FROM made ORDER BY client_id, version DESC) AS latest
	WHERE clients.id = latest.client_id AND clients.version < latest.version;

	IF EXISTS (SELECT FROM made WHERE is_erasure) THEN
		INSERT INTO public.erasures (client_id, erased_at) SELECT client_id, created_at FROM made WHERE is_erasure;
		DELETE FROM public.personal_data USING made WHERE is_erasure AND personal_data.client_id = made.client_id;
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
-- Of a client that is not erased, in one of its versions.
CREATE FUNCTION "public"."assert_personal_data"() RETURNS trigger LANGUAGE plpgsql
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	fault text;
BEGIN
	SELECT made.client_id INTO fault
	FROM made
	LEFT JOIN public.clients ON clients.id = made.client_id
	LEFT JOIN public.client_versions AS version ON version.client_id = made.client_id AND version.version = made.version
	WHERE clients.id IS NULL OR clients.erased_at IS NOT NULL OR (version.version IS NULL AND made.version <> 1)
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'personal data of no version of client %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'personal_data_versioned';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "personal_data_versioned" AFTER INSERT ON "public"."personal_data" REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION "public"."assert_personal_data"();
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "public"."assert_personal_data"() FROM PUBLIC;
