DELETE FROM {schema}.consumer_members
WHERE group_name = $1
    AND (member_id = $2 OR expires_at < coalesce($3, clock_timestamp()) - make_interval(days => 1))
