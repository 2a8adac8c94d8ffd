SELECT projection_name, event_id, global_position, event_type, ordering_key, error_message, retry_count,
    first_failed_at, last_failed_at, status, resolved_at, resolved_by
FROM main.dead_letter_queue
WHERE (?1 IS NULL OR projection_name = ?1) AND (?2 IS NULL OR status = ?2) AND global_position > ?3
ORDER BY global_position, projection_name
LIMIT ?4
