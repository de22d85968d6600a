-- As before, and what is held with it: an entry changes the balance, or what is held of it, or both.
CREATE OR REPLACE FUNCTION "assert_double_entry"() RETURNS trigger LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	fault text;
BEGIN
	SELECT 'transaction ' || transaction_id || ' adds up to ' || sum(amount_minor) INTO fault
	FROM added
	GROUP BY transaction_id
	HAVING sum(amount_minor) <> 0
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'entries do not add up: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_sum_zero';
	END IF;

	SELECT 'account ' || added.account_id || ' version ' || added.version INTO fault
	FROM added
	LEFT JOIN entries AS previous ON previous.account_id = added.account_id AND previous.version = added.version - 1
	WHERE added.balance_minor <> coalesce(previous.balance_minor, 0) + added.amount_minor
		OR (added.amount_minor = 0 AND added.held_minor = coalesce(previous.held_minor, 0))
		OR (previous.version IS NULL) <> (added.version = 1)
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'entries do not follow on: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_follow_on';
	END IF;

	SELECT 'account ' || latest.account_id || ' version ' || latest.version INTO fault
	FROM (
		SELECT DISTINCT ON (account_id) account_id, version, amount_minor, balance_minor, held_minor, transaction_id
		FROM added
		ORDER BY account_id, version DESC
	) AS latest
	LEFT JOIN accounts ON accounts.id = latest.account_id
	LEFT JOIN transactions ON transactions.id = latest.transaction_id
	WHERE accounts.version IS DISTINCT FROM latest.version
		OR accounts.balance_minor <> latest.balance_minor
		OR accounts.held_minor <> latest.held_minor
		OR (latest.amount_minor <> 0 AND accounts.currency IS DISTINCT FROM transactions.currency)
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'the snapshot is not the newest entry: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_match_snapshot';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
-- Reversals together never take back more than the transaction moved, and go the other way.
CREATE FUNCTION "assert_reversal"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	original transactions%ROWTYPE;
BEGIN
	SELECT * INTO original FROM transactions WHERE id = NEW.reverses;
	IF original.id IS NULL OR original.kind = 'reversal' OR original.currency <> NEW.currency
		OR original.account_id_from <> NEW.account_id_to OR original.account_id_to <> NEW.account_id_from
		OR original.amount_minor < (SELECT sum(amount_minor) FROM transactions WHERE reverses = NEW.reverses)
	THEN
		RAISE EXCEPTION '% does not reverse transaction %', NEW.id, NEW.reverses
			USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_within_original';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "transactions_reversal" AFTER INSERT ON "transactions" FOR EACH ROW WHEN (NEW.reverses IS NOT NULL) EXECUTE FUNCTION "assert_reversal"();
