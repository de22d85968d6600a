-- The last line of defence of the double entry. The writer decides and appends; this refuses whatever it should never have appended.
-- One check for all rows of a statement, so that a batch of a thousand transfers pays for it once.
CREATE FUNCTION "assert_double_entry"() RETURNS trigger LANGUAGE plpgsql AS $$
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
		OR (previous.version IS NULL) <> (added.version = 1)
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'entries do not follow on: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_follow_on';
	END IF;

	SELECT 'account ' || latest.account_id || ' version ' || latest.version INTO fault
	FROM (
		SELECT DISTINCT ON (account_id) account_id, version, balance_minor, transaction_id
		FROM added
		ORDER BY account_id, version DESC
	) AS latest
	LEFT JOIN accounts ON accounts.id = latest.account_id
	LEFT JOIN transactions ON transactions.id = latest.transaction_id
	WHERE accounts.version IS DISTINCT FROM latest.version
		OR accounts.balance_minor <> latest.balance_minor
		OR accounts.currency IS DISTINCT FROM transactions.currency
	LIMIT 1;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION 'the snapshot is not the newest entry: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_match_snapshot';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "entries_double_entry" AFTER INSERT ON "entries" REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "assert_double_entry"();
--> statement-breakpoint
-- The ledger is only ever appended to. Whoever has to mend it takes the trigger away first, and knows it.
CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
--> statement-breakpoint
CREATE TRIGGER "entries_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "entries" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
--> statement-breakpoint
CREATE TRIGGER "transactions_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "transactions" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
