SELECT partition, token, member_id, expires_at
FROM main.consumer_leases
WHERE group_name = ?1 AND member_id IS NOT NULL
ORDER BY partition
