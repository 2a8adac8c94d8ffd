INSERT INTO main.consumer_leases (group_name, partition, token, member_id, expires_at)
VALUES (?1, ?2, 1, ?3, ?4)
ON CONFLICT (group_name, partition) DO UPDATE SET
    token = token + 1,
    member_id = excluded.member_id,
    expires_at = excluded.expires_at
WHERE member_id IS NULL OR consumer_leases.expires_at <= ?5
RETURNING token
