SELECT version, global_position
FROM main.events INDEXED BY events_by_stream
WHERE aggregate_id = ?1 AND aggregate_type = ?2
ORDER BY version DESC
LIMIT 1
