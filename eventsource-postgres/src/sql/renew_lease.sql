UPDATE {schema}.consumer_leases
SET expires_at = coalesce($5, clock_timestamp()) + make_interval(secs => $4)
WHERE group_name = $1 AND partition = $2 AND token = $3 AND member_id IS NOT NULL
RETURNING token, member_id, expires_at
