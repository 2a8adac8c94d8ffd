SELECT
    (SELECT count(*) FROM main.event_outbox WHERE status = 'pending'),
    (SELECT count(*) FROM main.event_outbox WHERE claim_id IS NOT NULL AND held_until > ?1),
    (SELECT count(*) FROM main.event_outbox WHERE status = 'published'),
    (SELECT count(*) FROM main.event_outbox WHERE status = 'failed'),
    (SELECT min(created_at) FROM main.event_outbox WHERE status = 'pending')
