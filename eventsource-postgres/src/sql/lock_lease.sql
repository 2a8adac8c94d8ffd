SELECT token FROM {schema}.consumer_leases WHERE group_name = $1 AND partition = $2 FOR SHARE
