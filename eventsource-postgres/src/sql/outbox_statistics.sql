SELECT
    (SELECT count(*) FROM {schema}.event_outbox WHERE status = 'pending' AND position IS NOT NULL),
    (SELECT count(*) FROM {schema}.event_outbox WHERE claim_id IS NOT NULL AND held_until > n.now),
    (SELECT count(*) FROM {schema}.event_outbox WHERE status = 'published' AND position IS NOT NULL),
    (SELECT count(*) FROM {schema}.event_outbox WHERE status = 'failed' AND position IS NOT NULL),
    (SELECT (extract(epoch FROM n.now - min(created_at)) * 1000000)::bigint
     FROM {schema}.event_outbox WHERE status = 'pending' AND position IS NOT NULL)
FROM (SELECT coalesce($1, clock_timestamp()) AS now) n
