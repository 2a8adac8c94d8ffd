-- What becomes of entries of a claim that has not run out; returns those that are. $1 the claim, $2 now, then for each its
-- event, its new status, whether it failed, its error, until when it is held.
UPDATE {schema}.event_outbox o
SET status = s.status,
    published_at = CASE WHEN s.status = 'published' THEN $2 END,
    retry_count = o.retry_count + s.failures,
    last_error = coalesce(s.error, o.last_error),
    held_until = s.held_until,
    claim_id = NULL,
    claimed_by = NULL
FROM unnest($3::uuid[], $4::text[], $5::integer[], $6::text[], $7::timestamptz[])
    AS s(event_id, status, failures, error, held_until)
WHERE o.claim_id = $1 AND o.event_id = s.event_id AND o.status = 'pending' AND o.held_until > $2
RETURNING o.event_id
