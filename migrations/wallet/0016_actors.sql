ALTER TABLE "accounts" ADD COLUMN "actor" text;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "changed_actor" text;--> statement-breakpoint
ALTER TABLE "changes" ADD COLUMN "actor" text;--> statement-breakpoint
ALTER TABLE "client_versions" ADD COLUMN "actor" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "actor" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "changed_actor" text;--> statement-breakpoint
ALTER TABLE "holds" ADD COLUMN "actor" text;--> statement-breakpoint
ALTER TABLE "holds" ADD COLUMN "extended_actor" text;--> statement-breakpoint
ALTER TABLE "holds" ADD COLUMN "ended_actor" text;--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "actor" text;--> statement-breakpoint
ALTER TABLE "holds" ADD CONSTRAINT "holds_ended_actor" CHECK ("holds"."ended_actor" is null or "holds"."status" in ('captured', 'released'));
--> statement-breakpoint
-- As before, and the legs of a transaction have one actor.
CREATE OR REPLACE FUNCTION "public"."assert_booked"() RETURNS trigger LANGUAGE plpgsql
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	fault text;
BEGIN
	SELECT made.id INTO fault
	FROM made
	LEFT JOIN public.entries AS paying ON paying.account_id = made.account_id_from AND paying.version = made.version_from
	LEFT JOIN public.entries AS paid ON paid.account_id = made.account_id_to AND paid.version = made.version_to
	LEFT JOIN public.accounts AS payer ON payer.id = made.account_id_from
	LEFT JOIN public.accounts AS payee ON payee.id = made.account_id_to
	WHERE (paying.transaction_id, paid.transaction_id, payer.currency, payee.currency)
			IS DISTINCT FROM (made.id, made.id, made.currency, made.currency)
		OR (made.hold_id IS NOT NULL AND NOT EXISTS (SELECT FROM public.holds WHERE id = made.hold_id AND ended_by = made.id))
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'transaction % has not its entries', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_booked';
	END IF;

	IF EXISTS (SELECT FROM made WHERE kind = 'postings' OR leg > 0) THEN
		SELECT id INTO fault
		FROM made
		GROUP BY id
		HAVING max(leg) <> count(*) - 1
			OR (count(*) = 1 AND min(kind) = 'postings')
			OR (count(*) > 1 AND (
				min(kind) <> max(kind) OR min(currency) <> max(currency)
				OR min(effective_at) <> max(effective_at) OR min(created_at) <> max(created_at)
				OR count(DISTINCT coalesce(reverses::text, '')) > 1
				OR count(DISTINCT coalesce('=' || reference, '')) > 1
				OR count(DISTINCT coalesce('=' || actor, '')) > 1
				OR count(DISTINCT coalesce(metadata::text, '')) > 1
			))
		LIMIT 1;
		IF fault IS NULL THEN
			SELECT id INTO fault
			FROM (
				SELECT id, account_id_from AS account_id, version_from AS version FROM made
				UNION ALL
				SELECT id, account_id_to, version_to FROM made
			) AS named
			GROUP BY id, account_id, version
			HAVING count(*) > 1
			LIMIT 1;
		END IF;
		IF fault IS NOT NULL THEN
			RAISE EXCEPTION 'transaction % has not its legs', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_whole';
		END IF;
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
-- As before, and a hold was captured by who made the transaction.
CREATE OR REPLACE FUNCTION "public"."assert_hold"() RETURNS trigger LANGUAGE plpgsql
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	rule text;
BEGIN
	IF TG_OP = 'UPDATE' THEN
		IF OLD.status <> 'placed' OR NEW.status = 'placed' THEN
			rule := 'holds_end_once';
		END IF;
	ELSIF NOT EXISTS (
		SELECT FROM public.entries
		WHERE account_id = NEW.account_id_from AND version = NEW.version_placed AND transaction_id = NEW.id AND amount_minor = 0
	) OR 2 <> (
		SELECT count(*) FROM public.accounts
		WHERE id IN (NEW.account_id_from, NEW.account_id_to) AND currency = NEW.currency
	) THEN
		rule := 'holds_booked';
	END IF;
	IF rule IS NULL AND NEW.status <> 'placed' AND NOT EXISTS (
		SELECT FROM public.entries
		WHERE account_id = NEW.account_id_from AND version = NEW.version_ended AND transaction_id = NEW.ended_by
			AND amount_minor = -NEW.captured_minor AND NEW.ended_at IS NOT NULL
	) THEN
		rule := 'holds_booked';
	END IF;
	IF rule IS NULL AND NEW.status <> 'placed' AND (NEW.status = 'captured') <> EXISTS (
		SELECT FROM public.transactions
		WHERE id = NEW.ended_by AND hold_id = NEW.id AND account_id_from = NEW.account_id_from AND account_id_to = NEW.account_id_to
			AND actor IS NOT DISTINCT FROM NEW.ended_actor
	) THEN
		rule := 'holds_booked';
	END IF;
	IF rule IS NOT NULL THEN
		RAISE EXCEPTION 'hold % has not its entries', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = rule;
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
DROP TRIGGER "holds_ended" ON "public"."holds";
--> statement-breakpoint
CREATE TRIGGER "holds_ended" AFTER UPDATE ON "public"."holds" FOR EACH ROW
	WHEN ((OLD.status, OLD.captured_minor, OLD.ended_by, OLD.ended_at, OLD.version_ended, OLD.ended_actor)
		IS DISTINCT FROM (NEW.status, NEW.captured_minor, NEW.ended_by, NEW.ended_at, NEW.version_ended, NEW.ended_actor))
	EXECUTE FUNCTION "public"."assert_hold"();
--> statement-breakpoint
-- As before, with the actor of each version.
CREATE OR REPLACE FUNCTION "public"."record_client"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
	INSERT INTO public.client_versions (client_id, version, id, name, email, actor, created_at)
	VALUES (NEW.id, 1, NEW.id, NEW.name, NEW.email, NEW.actor, NEW.created_at);
	RETURN NULL;
END
$$;
--> statement-breakpoint
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
	WHERE clients.id IS NULL OR (previous.version IS NULL) <> (made.version = 1)
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'versions of client % do not follow on', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'client_versions_follow_on';
	END IF;

	UPDATE public.clients
	SET name = latest.name, email = latest.email, version = latest.version, changed_actor = latest.actor, updated_at = latest.created_at
	FROM (SELECT DISTINCT ON (client_id) * FROM made ORDER BY client_id, version DESC) AS latest
	WHERE clients.id = latest.client_id AND clients.version < latest.version;
	RETURN NULL;
END
$$;
--> statement-breakpoint
-- Accounts and holds show who changed them last. Nobody else may write that. Without actors nothing is updated.
CREATE FUNCTION "public"."record_actors"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
	UPDATE public.accounts SET changed_actor = latest.actor
	FROM (
		SELECT DISTINCT ON (account_id) account_id, actor FROM made WHERE hold_id IS NULL ORDER BY account_id, version DESC
	) AS latest
	WHERE accounts.id = latest.account_id AND accounts.changed_actor IS DISTINCT FROM latest.actor;
	UPDATE public.holds SET extended_actor = latest.actor
	FROM (
		SELECT DISTINCT ON (hold_id) hold_id, actor FROM made WHERE hold_id IS NOT NULL ORDER BY hold_id, version DESC
	) AS latest
	WHERE holds.id = latest.hold_id AND holds.extended_actor IS DISTINCT FROM latest.actor;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "changes_of_actors" AFTER INSERT ON "public"."changes" REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION "public"."record_actors"();
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "public"."record_actors"() FROM PUBLIC;
