INSERT INTO main.event_outbox (
    position, event_id, event_type, aggregate_id, aggregate_type, tenant_id, event_data, created_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
