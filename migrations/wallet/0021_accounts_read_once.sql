-- Custom SQL migration file, put your code below! --
-- The currency of each account is compared when its snapshot moves, which reads it anyway: not per transaction,
-- by reading both of its accounts once more.
CREATE OR REPLACE FUNCTION "public"."assert_double_entry"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, public, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	rule text;
	fault text;
	changed boolean := false;
	restricted boolean;
	foreign_to text;
BEGIN
	IF EXISTS (SELECT FROM added WHERE amount_minor = 0) THEN
		changed := EXISTS (SELECT FROM added JOIN public.changes USING (account_id, version));
	END IF;

	-- One statement checks the entries and moves the snapshots, which it has to read anyway for their currency.
	WITH checked AS MATERIALIZED (
		SELECT
			added.account_id,
			added.version,
			added.balance_minor,
			added.held_minor,
			added.created_at,
			cause.currency,
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
		LEFT JOIN public.transactions AS cause ON cause.id = added.transaction_id AND (added.account_id, added.version)
			IN ((cause.account_id_from, cause.version_from), (cause.account_id_to, cause.version_to))
	), faulty AS MATERIALIZED (
		SELECT
			CASE WHEN follows THEN 'entries_have_cause' ELSE 'entries_follow_on' END AS rule,
			'account ' || account_id || ' version ' || version AS fault
		FROM checked
		WHERE NOT follows OR has_cause IS NOT TRUE
		LIMIT 1
	), moved AS (
		UPDATE public.accounts
		SET balance_minor = latest.balance_minor, held_minor = latest.held_minor, version = latest.version, updated_at = latest.created_at
		FROM (
			SELECT DISTINCT ON (account_id) account_id, version, balance_minor, held_minor, created_at
			FROM checked
			ORDER BY account_id, version DESC
		) AS latest
		WHERE NOT changed AND NOT EXISTS (SELECT FROM faulty) AND accounts.id = latest.account_id
		RETURNING accounts.id, accounts.currency, accounts.status
	)
	SELECT
		(SELECT faulty.rule FROM faulty),
		(SELECT faulty.fault FROM faulty),
		(SELECT bool_or(status <> 'open') FROM moved),
		(
			SELECT account_id FROM (
				SELECT account_id, currency FROM checked WHERE currency IS NOT NULL AND NOT changed
				EXCEPT SELECT id, currency FROM moved
			) AS other
			LIMIT 1
		)
	INTO rule, fault, restricted, foreign_to;
	IF rule IS NOT NULL AND EXISTS (SELECT FROM added GROUP BY transaction_id HAVING sum(amount_minor) <> 0) THEN
		RAISE EXCEPTION 'entries do not add up: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_sum_zero';
	ELSIF rule = 'entries_follow_on' THEN
		RAISE EXCEPTION 'entries do not follow on: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_follow_on';
	ELSIF rule IS NOT NULL THEN
		RAISE EXCEPTION 'nothing that happened has led to the entry: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_have_cause';
	END IF;

	IF changed THEN
		SELECT added.account_id INTO foreign_to
		FROM added
		JOIN public.transactions AS cause ON cause.id = added.transaction_id AND (added.account_id, added.version)
			IN ((cause.account_id_from, cause.version_from), (cause.account_id_to, cause.version_to))
		LEFT JOIN public.accounts AS account ON account.id = added.account_id
		WHERE account.currency IS DISTINCT FROM cause.currency
		LIMIT 1;
	END IF;
	IF foreign_to IS NOT NULL THEN
		RAISE EXCEPTION 'account % is not in the currency of its transaction', foreign_to USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_booked';
	END IF;

	IF NOT changed THEN
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
	WHERE (paying.transaction_id, paid.transaction_id) IS DISTINCT FROM (made.id, made.id)
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
