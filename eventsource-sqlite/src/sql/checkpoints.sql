SELECT projection_name, log_id, global_position, last_event_position, last_event_id, last_event_type,
    events_processed, resets, updated_at
FROM main.projection_checkpoints
ORDER BY projection_name
