-- Moves a view's checkpoint in the very transaction ($10) that the view was changed in, and nowhere else: a handler may have
-- ended that one. It is as it was read ($11), and nobody else can have moved it.
INSERT INTO {schema}.projection_checkpoints AS c (
    projection_name, log_id, global_position, last_event_position, last_event_id, last_event_type, events_processed,
    resets, updated_at
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, clock_timestamp())
WHERE txid_current_if_assigned() = $10
ON CONFLICT (projection_name) DO UPDATE SET
    log_id = excluded.log_id,
    global_position = excluded.global_position,
    last_event_position = excluded.last_event_position,
    last_event_id = excluded.last_event_id,
    last_event_type = excluded.last_event_type,
    events_processed = excluded.events_processed,
    resets = excluded.resets,
    updated_at = excluded.updated_at
WHERE c.global_position = $11 AND c.resets = excluded.resets
