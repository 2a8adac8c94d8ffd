INSERT OR FAIL INTO main.events (
    global_position, event_id, aggregate_id, aggregate_type, version, event_type, schema_version, tenant_id, actor_id,
    correlation_id, causation_id, metadata, tags, timestamp, created_at, append_index, payload
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
