UPDATE main.consumer_leases
SET member_id = NULL, expires_at = NULL
WHERE group_name = ?1 AND partition = ?2 AND token = ?3
