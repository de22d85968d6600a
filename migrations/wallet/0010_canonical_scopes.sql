-- The scope of a key is its route, however the path was written: ids in lower case, no slash at the end. Of two keys that become one the first is kept.
DELETE FROM "idempotency_keys" AS later USING "idempotency_keys" AS earlier
WHERE later.key = earlier.key
	AND replace(lower(rtrim(later.scope, '/')), '%2d', '-') = replace(lower(rtrim(earlier.scope, '/')), '%2d', '-')
	AND (later.created_at, later.scope) > (earlier.created_at, earlier.scope);
--> statement-breakpoint
UPDATE "idempotency_keys" SET "scope" = 'POST' || substr(replace(lower(rtrim("scope", '/')), '%2d', '-'), 5)
WHERE "scope" <> 'POST' || substr(replace(lower(rtrim("scope", '/')), '%2d', '-'), 5);
