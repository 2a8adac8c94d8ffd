INSERT INTO snapshots
    (aggregate_id, aggregate_type, version, position, schema_version, tenant_id, state, created_at, event_id)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (aggregate_id, aggregate_type) DO UPDATE SET
    version = excluded.version, position = excluded.position, schema_version = excluded.schema_version,
    tenant_id = excluded.tenant_id, state = excluded.state, created_at = excluded.created_at,
    event_id = excluded.event_id
WHERE snapshots.version <= excluded.version
