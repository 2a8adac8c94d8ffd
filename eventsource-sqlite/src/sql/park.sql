INSERT INTO main.dead_letter_queue (
    projection_name, event_id, global_position, event_type, ordering_key, error_message, retry_count, first_failed_at,
    last_failed_at, status
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 'failed')
ON CONFLICT (projection_name, event_id) DO UPDATE SET
    ordering_key = excluded.ordering_key,
    error_message = excluded.error_message,
    retry_count = excluded.retry_count,
    last_failed_at = excluded.last_failed_at,
    status = 'failed',
    retrying_since = NULL,
    resolved_at = NULL,
    resolved_by = NULL
