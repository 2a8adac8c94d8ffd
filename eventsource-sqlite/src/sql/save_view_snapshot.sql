INSERT INTO view_snapshots (name, filter, tenant_id, position, schema_version, state, created_at, event_id)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (name, filter, tenant_id) DO UPDATE SET
    position = excluded.position, schema_version = excluded.schema_version, state = excluded.state,
    created_at = excluded.created_at, event_id = excluded.event_id
WHERE view_snapshots.position <= excluded.position
