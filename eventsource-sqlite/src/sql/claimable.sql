-- The next entries of streams of which none is held, in log order. ?1 now, ?2 how many.
WITH held AS MATERIALIZED (
    SELECT aggregate_id, aggregate_type
    FROM main.event_outbox INDEXED BY event_outbox_held
    WHERE held_until > ?1 AND aggregate_id IS NOT NULL
)
SELECT position, event_data, retry_count, last_error
FROM main.event_outbox INDEXED BY event_outbox_pending
WHERE status = 'pending'
    AND (held_until IS NULL OR held_until <= ?1)
    AND (aggregate_id IS NULL OR (aggregate_id, aggregate_type) NOT IN (SELECT aggregate_id, aggregate_type FROM held))
ORDER BY position
LIMIT ?2
