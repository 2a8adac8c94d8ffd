SELECT global_position FROM events INDEXED BY events_by_id WHERE event_id = ?1
