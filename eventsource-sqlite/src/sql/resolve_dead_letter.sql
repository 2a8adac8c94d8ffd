UPDATE main.dead_letter_queue
SET status = 'resolved',
    retrying_since = NULL,
    resolved_by = coalesce(resolved_by, ?3),
    resolved_at = coalesce(resolved_at, ?4)
WHERE projection_name = ?1 AND event_id = ?2
