SELECT EXISTS (
    SELECT 1 FROM main.dead_letter_queue
    WHERE projection_name = ?1 AND event_id = ?2 AND status <> 'resolved'
)
