INSERT INTO {schema}.projection_checkpoints (
    projection_name, log_id, global_position, last_event_position, last_event_id, last_event_type, events_processed,
    resets, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, clock_timestamp()))
ON CONFLICT (projection_name) DO NOTHING
