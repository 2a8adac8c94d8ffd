-- Only in the transaction $10, if that is given: a handler may have ended it.
INSERT INTO {schema}.projection_checkpoints (
    projection_name, log_id, global_position, last_event_position, last_event_id, last_event_type, events_processed,
    resets, updated_at
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, clock_timestamp())
WHERE $10::BIGINT IS NULL OR txid_current_if_assigned() IS NOT DISTINCT FROM $10
ON CONFLICT (projection_name) DO NOTHING
