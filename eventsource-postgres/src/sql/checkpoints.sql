SELECT c.projection_name::text, coalesce(c.log_id, l.id), c.global_position, c.last_event_position, c.last_event_id,
    c.last_event_type::text, c.events_processed, c.resets, c.updated_at
FROM {schema}.projection_checkpoints c CROSS JOIN {schema}.log l
