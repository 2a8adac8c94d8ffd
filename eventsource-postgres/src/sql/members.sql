SELECT member_id FROM {schema}.consumer_members
WHERE group_name = $1 AND expires_at > coalesce($2, clock_timestamp())
ORDER BY member_id
