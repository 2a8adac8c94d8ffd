SELECT event_type FROM events WHERE global_position = ?1
