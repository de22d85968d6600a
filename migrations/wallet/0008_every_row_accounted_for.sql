-- The last line of defence, closed: whoever has the password of the service may append to the ledger, and nothing of it can be forged by that.
-- Every entry belongs to one transaction, hold or release that names its account and version; every transaction and hold has its entries; snapshots
-- follow from entries, and nobody but this function writes them. Functions find tables by their full names, whatever the session's search_path
-- is, and only the owner may make triggers of them.

-- One check for all rows of a statement, so that a batch of a thousand transfers pays for it once. Planned for few rows, found by primary key.
-- It works as the owner, since the service may not update accounts. That entries add up to zero follows from the rest: each is one of the two of
-- its transaction, whose other one is there.
CREATE OR REPLACE FUNCTION "public"."assert_double_entry"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	rule text;
	fault text;
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
				AND added.balance_minor = coalesce(previous.balance_minor, 0) + added.amount_minor
				AND (added.amount_minor <> 0 OR added.held_minor <> coalesce(previous.held_minor, 0)) AS follows,
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

	UPDATE public.accounts
	SET balance_minor = latest.balance_minor, held_minor = latest.held_minor, version = latest.version, updated_at = latest.created_at
	FROM (
		SELECT DISTINCT ON (account_id) account_id, version, balance_minor, held_minor, created_at
		FROM added
		ORDER BY account_id, version DESC
	) AS latest
	WHERE accounts.id = latest.account_id;
	RETURN NULL;
END
$$;
--> statement-breakpoint
-- Nothing is said to have moved that did not. Entries say the same of their transactions, amounts included.
CREATE FUNCTION "public"."assert_booked"() RETURNS trigger LANGUAGE plpgsql
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
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "transactions_booked" AFTER INSERT ON "public"."transactions" REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION "public"."assert_booked"();
--> statement-breakpoint
-- A hold is placed by one entry and ended by another, once.
CREATE FUNCTION "public"."assert_hold"() RETURNS trigger LANGUAGE plpgsql
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
CREATE TRIGGER "holds_placed" AFTER INSERT ON "public"."holds" FOR EACH ROW EXECUTE FUNCTION "public"."assert_hold"();
--> statement-breakpoint
CREATE TRIGGER "holds_ended" AFTER UPDATE ON "public"."holds" FOR EACH ROW
	WHEN ((OLD.status, OLD.captured_minor, OLD.ended_by, OLD.ended_at, OLD.version_ended)
		IS DISTINCT FROM (NEW.status, NEW.captured_minor, NEW.ended_by, NEW.ended_at, NEW.version_ended))
	EXECUTE FUNCTION "public"."assert_hold"();
--> statement-breakpoint
-- Reversals together never take back more than the transaction moved, and go the other way.
CREATE OR REPLACE FUNCTION "public"."assert_reversal"() RETURNS trigger LANGUAGE plpgsql
	SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
	original public.transactions%ROWTYPE;
BEGIN
	SELECT * INTO original FROM public.transactions WHERE id = NEW.reverses;
	IF original.id IS NULL OR original.kind = 'reversal' OR original.currency <> NEW.currency
		OR original.account_id_from <> NEW.account_id_to OR original.account_id_to <> NEW.account_id_from
		OR original.amount_minor < (SELECT sum(amount_minor) FROM public.transactions WHERE reverses = NEW.reverses)
	THEN
		RAISE EXCEPTION '% does not reverse transaction %', NEW.id, NEW.reverses
			USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_within_original';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
ALTER FUNCTION "public"."refuse_change"() SET search_path = pg_catalog, public, pg_temp;
--> statement-breakpoint
-- A trigger fires whoever appends; to make one of another table's is the owner's.
REVOKE EXECUTE ON FUNCTION "public"."assert_double_entry"(), "public"."assert_booked"(), "public"."assert_hold"(),
	 "public"."assert_reversal"(), "public"."refuse_change"() FROM PUBLIC;
--> statement-breakpoint
-- A key that still stands for something cannot be taken back by the service; the owner's statements are not bound by this.
ALTER TABLE "public"."idempotency_keys" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY "read" ON "public"."idempotency_keys" FOR SELECT USING (true);
--> statement-breakpoint
CREATE POLICY "use" ON "public"."idempotency_keys" FOR INSERT WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "forget_expired" ON "public"."idempotency_keys" FOR DELETE USING (created_at < now() - interval '24 hours');
