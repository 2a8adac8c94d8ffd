DELETE FROM {schema}.dead_letter_queue
WHERE status = 'resolved' AND resolved_at < coalesce($1, statement_timestamp()) - make_interval(secs => $2)
