-- One entry of a claim that has not run out. ?1 claim, ?2 event, ?3 now; what it becomes: ?4 status, ?5 published at,
-- ?6 failures more, ?7 error, ?8 held until.
UPDATE main.event_outbox
SET status = ?4, published_at = ?5, retry_count = retry_count + ?6, last_error = coalesce(?7, last_error), held_until = ?8,
    claim_id = NULL, claimed_by = NULL
WHERE claim_id = ?1 AND event_id = ?2 AND status = 'pending' AND held_until > ?3
