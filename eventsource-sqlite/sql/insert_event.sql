INSERT INTO main.events (
    global_position, event_id, aggregate_id, aggregate_type, version, event_type, schema_version, tenant_id, actor_id,
    correlation_id, causation_id, metadata, tags, timestamp, created_at, append_index, payload
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
