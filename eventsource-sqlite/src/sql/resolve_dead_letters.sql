UPDATE main.dead_letter_queue
SET status = 'resolved', retrying_since = NULL, resolved_by = ?2, resolved_at = ?3
WHERE projection_name = ?1 AND status <> 'resolved'
