SELECT count(*)
FROM main.dead_letter_queue
WHERE (?1 IS NULL OR projection_name = ?1) AND (?2 IS NULL OR status = ?2) AND global_position > ?3
