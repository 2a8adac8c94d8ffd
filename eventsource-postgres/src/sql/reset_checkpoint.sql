INSERT INTO {schema}.projection_checkpoints AS c (projection_name, log_id, global_position, resets, updated_at)
VALUES ($1, $2, $3, 1, coalesce($4, clock_timestamp()))
ON CONFLICT (projection_name) DO UPDATE SET
    log_id = excluded.log_id,
    global_position = excluded.global_position,
    last_event_position = NULL,
    last_event_id = NULL,
    last_event_type = NULL,
    events_processed = 0,
    resets = c.resets + 1,
    updated_at = excluded.updated_at
