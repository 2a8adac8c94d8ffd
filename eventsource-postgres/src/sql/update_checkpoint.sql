-- Only in the transaction $10, if that is given: a handler may have ended it.
UPDATE {schema}.projection_checkpoints SET
    log_id = $2,
    global_position = $3,
    last_event_position = $4,
    last_event_id = $5,
    last_event_type = $6,
    events_processed = $7,
    resets = $8,
    updated_at = coalesce($9, clock_timestamp())
WHERE projection_name = $1 AND ($10::BIGINT IS NULL OR txid_current_if_assigned() IS NOT DISTINCT FROM $10)
