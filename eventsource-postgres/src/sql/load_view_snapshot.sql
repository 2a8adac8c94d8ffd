SELECT NULL::bigint, position, schema_version, state, created_at, event_id FROM {schema}.view_snapshots
WHERE name = $1 AND filter = $2 AND tenant_id = $3
