CREATE TABLE "changes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"account_id" uuid NOT NULL,
	"version" bigint NOT NULL,
	"status" text NOT NULL,
	"overdraft_limit_minor" bigint NOT NULL,
	"hold_id" uuid,
	"expires_at" timestamp (3) with time zone,
	"reference" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "changes_kind" CHECK ("changes"."kind" in ('status', 'overdraft', 'expiry')),
	CONSTRAINT "changes_status" CHECK ("changes"."status" in ('open', 'debits_frozen', 'frozen', 'closed')),
	CONSTRAINT "changes_overdraft" CHECK ("changes"."overdraft_limit_minor" >= 0),
	CONSTRAINT "changes_hold" CHECK (("changes"."kind" = 'expiry', "changes"."kind" = 'expiry')
        = ("changes"."hold_id" is not null, "changes"."expires_at" is not null))
);
--> statement-breakpoint
CREATE TABLE "client_versions" (
	"client_id" uuid NOT NULL,
	"version" bigint NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"email" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "client_versions_pkey" PRIMARY KEY("client_id","version")
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "opening_limit_minor" bigint;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "status" text DEFAULT 'open' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "version" bigint DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "updated_at" timestamp (3) with time zone;--> statement-breakpoint
UPDATE "clients" SET "updated_at" = "created_at";--> statement-breakpoint
ALTER TABLE "clients" ALTER COLUMN "updated_at" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "holds" ADD COLUMN "expires_at_placed" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "holds" ADD COLUMN "version_extended" bigint;--> statement-breakpoint
CREATE UNIQUE INDEX "changes_version" ON "changes" USING btree ("account_id","version");--> statement-breakpoint
CREATE INDEX "changes_hold" ON "changes" USING btree ("hold_id","version") WHERE "changes"."hold_id" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "client_versions_id" ON "client_versions" USING btree ("id");--> statement-breakpoint
CREATE INDEX "accounts_restricted" ON "accounts" USING btree ("status","id") WHERE "accounts"."status" <> 'open';--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_status" CHECK ("accounts"."status" in ('open', 'debits_frozen', 'frozen', 'closed'));--> statement-breakpoint
INSERT INTO "client_versions" ("client_id", "version", "id", "name", "email", "created_at")
SELECT "id", 1, "id", "name", "email", "created_at" FROM "clients";
--> statement-breakpoint
CREATE TRIGGER "changes_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "public"."changes" FOR EACH STATEMENT EXECUTE FUNCTION "public"."refuse_change"();
--> statement-breakpoint
CREATE TRIGGER "client_versions_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "public"."client_versions" FOR EACH STATEMENT EXECUTE FUNCTION "public"."refuse_change"();
--> statement-breakpoint
-- As before, and an entry that changes neither balance nor held amount belongs to one change of its account, which follows from the state before it.
-- Changes are copied into accounts and holds here, with the balance: nobody else may. No entry is appended that the status of its account forbids.
-- Of accounts that are open, and stay so, only the row that is updated anyway is looked at.
CREATE OR REPLACE FUNCTION "public"."assert_double_entry"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	rule text;
	fault text;
	changed boolean := false;
	restricted boolean;
BEGIN
	SELECT
		CASE WHEN follows THEN 'entries_have_cause' ELSE 'entries_follow_on' END,
		'account ' || account_id || ' version ' || version
	INTO rule, fault
	FROM (
		SELECT
			added.account_id,
			added.version,
			(previous.version IS NULL) = (added.version = 1)
				AND added.balance_minor = coalesce(previous.balance_minor, 0) + added.amount_minor AS follows,
			CASE sign(added.amount_minor)
				-- What was held for it is free again with the capture of a hold.
				WHEN -1 THEN (added.account_id, added.version, -added.amount_minor, added.held_minor - coalesce(previous.held_minor, 0))
					= (cause.account_id_from, cause.version_from, cause.amount_minor, CASE
						WHEN cause.hold_id IS NULL THEN 0
						ELSE -(SELECT amount_minor FROM public.holds WHERE id = cause.hold_id)
					END)
				WHEN 1 THEN (added.account_id, added.version, added.amount_minor, added.held_minor)
					= (cause.account_id_to, cause.version_to, cause.amount_minor, coalesce(previous.held_minor, 0))
				ELSE EXISTS (
					SELECT FROM public.holds
					WHERE id = added.transaction_id AND account_id_from = added.account_id AND version_placed = added.version
						AND amount_minor = added.held_minor - coalesce(previous.held_minor, 0)
				) OR EXISTS (
					SELECT FROM public.holds
					WHERE ended_by = added.transaction_id AND account_id_from = added.account_id AND version_ended = added.version
						AND amount_minor = coalesce(previous.held_minor, 0) - added.held_minor
				) OR (
					added.held_minor = coalesce(previous.held_minor, 0) AND EXISTS (
						SELECT FROM public.changes
						WHERE id = added.transaction_id AND account_id = added.account_id AND version = added.version
					)
				)
			END AS has_cause
		FROM added
		LEFT JOIN public.entries AS previous ON previous.account_id = added.account_id AND previous.version = added.version - 1
		LEFT JOIN public.transactions AS cause ON cause.id = added.transaction_id
	) AS checked
	WHERE NOT follows OR has_cause IS NOT TRUE
	LIMIT 1;
	IF rule IS NOT NULL AND EXISTS (SELECT FROM added GROUP BY transaction_id HAVING sum(amount_minor) <> 0) THEN
		RAISE EXCEPTION 'entries do not add up: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_sum_zero';
	ELSIF rule = 'entries_follow_on' THEN
		RAISE EXCEPTION 'entries do not follow on: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_follow_on';
	ELSIF rule IS NOT NULL THEN
		RAISE EXCEPTION 'nothing that happened has led to the entry: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_have_cause';
	END IF;

	IF EXISTS (SELECT FROM added WHERE amount_minor = 0) THEN
		changed := EXISTS (SELECT FROM added JOIN public.changes USING (account_id, version));
	END IF;
	IF NOT changed THEN
		WITH moved AS (
			UPDATE public.accounts
			SET balance_minor = latest.balance_minor, held_minor = latest.held_minor, version = latest.version, updated_at = latest.created_at
			FROM (
				SELECT DISTINCT ON (account_id) account_id, version, balance_minor, held_minor, created_at
				FROM added
				ORDER BY account_id, version DESC
			) AS latest
			WHERE accounts.id = latest.account_id
			RETURNING accounts.status
		)
		SELECT bool_or(status <> 'open') INTO restricted FROM moved;
		IF restricted IS NOT TRUE THEN
			RETURN NULL;
		END IF;
	ELSE
		SELECT change.id INTO fault
		FROM added
		JOIN public.changes AS change ON change.account_id = added.account_id AND change.version = added.version
		JOIN public.accounts AS account ON account.id = added.account_id
		LEFT JOIN LATERAL (
			SELECT status, overdraft_limit_minor FROM public.changes
			WHERE account_id = change.account_id AND version < change.version
			ORDER BY version DESC LIMIT 1
		) AS before ON true
		LEFT JOIN public.holds AS hold ON hold.id = change.hold_id
		WHERE account.overdraft_limit_minor IS NULL OR CASE change.kind
			WHEN 'status' THEN coalesce(before.status, 'open') NOT IN (change.status, 'closed')
				AND change.overdraft_limit_minor = coalesce(before.overdraft_limit_minor, account.overdraft_limit_minor)
				AND (change.status <> 'closed' OR (added.balance_minor = 0 AND added.held_minor = 0))
			WHEN 'overdraft' THEN change.status = coalesce(before.status, 'open') AND change.status <> 'closed'
				AND change.overdraft_limit_minor <> coalesce(before.overdraft_limit_minor, account.overdraft_limit_minor)
			ELSE change.status = coalesce(before.status, 'open')
				AND change.overdraft_limit_minor = coalesce(before.overdraft_limit_minor, account.overdraft_limit_minor)
				AND hold.account_id_from = change.account_id AND hold.version_placed < change.version
				AND coalesce(hold.version_ended > change.version, true)
				AND change.expires_at > coalesce((
					SELECT expires_at FROM public.changes
					WHERE hold_id = change.hold_id AND version < change.version
					ORDER BY version DESC LIMIT 1
				), hold.expires_at)
		END IS NOT TRUE
		LIMIT 1;
		IF fault IS NOT NULL THEN
			RAISE EXCEPTION 'change % does not follow on', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'changes_follow_on';
		END IF;

		UPDATE public.accounts
		SET balance_minor = latest.balance_minor, held_minor = latest.held_minor, version = latest.version, updated_at = latest.created_at,
			status = coalesce(terms.status, accounts.status),
			opening_limit_minor = coalesce(
				accounts.opening_limit_minor, CASE WHEN terms.status IS NOT NULL THEN accounts.overdraft_limit_minor END
			),
			overdraft_limit_minor = coalesce(terms.overdraft_limit_minor, accounts.overdraft_limit_minor)
		FROM (
			SELECT DISTINCT ON (account_id) account_id, version, balance_minor, held_minor, created_at
			FROM added
			ORDER BY account_id, version DESC
		) AS latest
		LEFT JOIN LATERAL (
			SELECT status, overdraft_limit_minor FROM public.changes
			WHERE account_id = latest.account_id AND version <= latest.version
			ORDER BY version DESC LIMIT 1
		) AS terms ON true
		WHERE accounts.id = latest.account_id;

		UPDATE public.holds
		SET expires_at = extended.expires_at, expires_at_placed = coalesce(expires_at_placed, holds.expires_at), version_extended = extended.version
		FROM (
			SELECT DISTINCT ON (hold_id) hold_id, change.expires_at, change.version
			FROM added JOIN public.changes AS change ON change.account_id = added.account_id AND change.version = added.version
			WHERE hold_id IS NOT NULL
			ORDER BY hold_id, change.version DESC
		) AS extended
		WHERE holds.id = extended.hold_id;
	END IF;

	SELECT 'account ' || added.account_id || ' version ' || added.version INTO fault
	FROM added
	JOIN LATERAL (
		SELECT status FROM public.changes
		WHERE account_id = added.account_id AND version < added.version
		ORDER BY version DESC LIMIT 1
	) AS before ON true
	LEFT JOIN public.entries AS previous ON previous.account_id = added.account_id AND previous.version = added.version - 1
	WHERE before.status = 'closed'
		OR (before.status <> 'open' AND (added.amount_minor < 0 OR added.held_minor > coalesce(previous.held_minor, 0)))
		OR (before.status = 'frozen' AND added.amount_minor > 0)
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'the status of the account forbids the entry: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_within_status';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
-- Each change has its entry, which moves nothing.
CREATE FUNCTION "public"."assert_changed"() RETURNS trigger LANGUAGE plpgsql
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	fault text;
BEGIN
	SELECT made.id INTO fault
	FROM made
	LEFT JOIN public.entries AS entry ON entry.account_id = made.account_id AND entry.version = made.version
	LEFT JOIN public.entries AS previous ON previous.account_id = made.account_id AND previous.version = made.version - 1
	WHERE (entry.transaction_id, entry.amount_minor, entry.held_minor) IS DISTINCT FROM (made.id, 0::bigint, coalesce(previous.held_minor, 0))
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'change % has not its entry', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'changes_booked';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "changes_booked" AFTER INSERT ON "public"."changes" REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION "public"."assert_changed"();
--> statement-breakpoint
-- The versions of a client are 1, 2, 3 …, and its row is the newest. It works as the owner, since the service may not update clients.
CREATE FUNCTION "public"."record_client"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
	INSERT INTO public.client_versions (client_id, version, id, name, email, created_at)
	VALUES (NEW.id, 1, NEW.id, NEW.name, NEW.email, NEW.created_at);
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "clients_recorded" AFTER INSERT ON "public"."clients" FOR EACH ROW EXECUTE FUNCTION "public"."record_client"();
--> statement-breakpoint
CREATE FUNCTION "public"."apply_client_versions"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
	WHERE clients.id IS NULL OR (previous.version IS NULL) <> (made.version = 1)
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'versions of client % do not follow on', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'client_versions_follow_on';
	END IF;

	UPDATE public.clients
	SET name = latest.name, email = latest.email, version = latest.version, updated_at = latest.created_at
	FROM (SELECT DISTINCT ON (client_id) * FROM made ORDER BY client_id, version DESC) AS latest
	WHERE clients.id = latest.client_id AND clients.version < latest.version;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "client_versions_applied" AFTER INSERT ON "public"."client_versions" REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION "public"."apply_client_versions"();
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "public"."assert_changed"(), "public"."record_client"(), "public"."apply_client_versions"() FROM PUBLIC;
