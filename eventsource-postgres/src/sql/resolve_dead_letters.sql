UPDATE {schema}.dead_letter_queue
SET status = 'resolved', retrying_since = NULL, resolved_by = $2, resolved_at = coalesce($3, statement_timestamp())
WHERE projection_name = $1 AND status <> 'resolved'
