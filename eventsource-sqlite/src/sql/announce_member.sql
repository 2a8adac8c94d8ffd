INSERT INTO main.consumer_members (group_name, member_id, expires_at)
VALUES (?1, ?2, ?3)
ON CONFLICT (group_name, member_id) DO UPDATE SET expires_at = excluded.expires_at
