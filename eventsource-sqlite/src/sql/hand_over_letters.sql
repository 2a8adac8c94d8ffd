INSERT INTO main.dead_letter_queue (
    projection_name, event_id, global_position, event_type, ordering_key, error_message, retry_count, first_failed_at,
    last_failed_at, status, retrying_since, resolved_at, resolved_by
)
SELECT ?2, event_id, global_position, event_type, ordering_key, error_message, retry_count, first_failed_at,
    last_failed_at, status, retrying_since, resolved_at, resolved_by
FROM main.dead_letter_queue
WHERE projection_name = ?1
ON CONFLICT (projection_name, event_id) DO UPDATE SET
    ordering_key = excluded.ordering_key,
    error_message = excluded.error_message,
    retry_count = excluded.retry_count,
    last_failed_at = excluded.last_failed_at,
    status = excluded.status,
    retrying_since = excluded.retrying_since,
    resolved_at = excluded.resolved_at,
    resolved_by = excluded.resolved_by
