INSERT INTO {schema}.consumer_leases AS l (group_name, partition, token, member_id, expires_at)
VALUES ($1, $2, 1, $3, coalesce($5, clock_timestamp()) + make_interval(secs => $4))
ON CONFLICT (group_name, partition) DO UPDATE SET
    token = l.token + 1,
    member_id = excluded.member_id,
    expires_at = excluded.expires_at
WHERE l.member_id IS NULL OR l.expires_at <= coalesce($5, clock_timestamp())
RETURNING token, member_id, expires_at
