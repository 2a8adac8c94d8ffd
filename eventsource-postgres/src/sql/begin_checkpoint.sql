INSERT INTO {schema}.projection_checkpoints (projection_name, log_id, global_position, updated_at)
VALUES ($1, $2, 0, coalesce($3, clock_timestamp()))
ON CONFLICT (projection_name) DO NOTHING
