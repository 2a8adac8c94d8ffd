SELECT DISTINCT ordering_key
FROM main.dead_letter_queue
WHERE projection_name = ?1 AND ordering_key IS NOT NULL AND status <> 'resolved'
