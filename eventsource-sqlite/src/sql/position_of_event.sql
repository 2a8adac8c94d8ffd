SELECT global_position FROM main.events INDEXED BY events_by_id WHERE event_id = ?1
