-- $1 now, $2 how many, $3 until when, $4 the claim, $5 by whom.
--
-- Entries of a stream of which none is held, from its first pending one on. What other statements than the store's own
-- have locked is passed over. Entries without a position are not the store's.
WITH due AS MATERIALIZED (
    SELECT o.id
    FROM {schema}.event_outbox o
    WHERE o.status = 'pending'
        AND o.position IS NOT NULL
        AND (o.held_until IS NULL OR o.held_until <= $1)
        AND (o.aggregate_id IS NULL OR (o.aggregate_id, o.aggregate_type) NOT IN (
            SELECT h.aggregate_id, h.aggregate_type
            FROM {schema}.event_outbox h
            WHERE h.held_until > $1 AND h.aggregate_id IS NOT NULL AND h.aggregate_type IS NOT NULL
        ))
    ORDER BY o.position
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE {schema}.event_outbox o
    SET held_until = $3, claim_id = $4, claimed_by = $5
    FROM due
    WHERE o.id = due.id
    RETURNING o.position, o.event_data, o.retry_count, o.last_error
)
SELECT c.position, c.event_data, c.retry_count, c.last_error FROM claimed c ORDER BY c.position
