UPDATE main.consumer_leases
SET expires_at = ?4
WHERE group_name = ?1 AND partition = ?2 AND token = ?3 AND member_id IS NOT NULL
