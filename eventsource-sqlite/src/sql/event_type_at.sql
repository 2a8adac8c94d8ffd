SELECT event_type FROM main.events WHERE global_position = ?1
