INSERT INTO main.projection_checkpoints (
    projection_name, log_id, global_position, last_event_position, last_event_id, last_event_type, events_processed,
    resets, updated_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (projection_name) DO UPDATE SET
    log_id = excluded.log_id,
    global_position = excluded.global_position,
    last_event_position = excluded.last_event_position,
    last_event_id = excluded.last_event_id,
    last_event_type = excluded.last_event_type,
    events_processed = excluded.events_processed,
    resets = excluded.resets,
    updated_at = excluded.updated_at
