UPDATE main.dead_letter_queue
SET status = 'retrying', retrying_since = ?3
WHERE projection_name = ?1 AND event_id = ?2
    AND (status = 'failed' OR (status = 'retrying' AND retrying_since <= ?4))
RETURNING projection_name, event_id, global_position, event_type, ordering_key, error_message, retry_count,
    first_failed_at, last_failed_at, status, resolved_at, resolved_by
