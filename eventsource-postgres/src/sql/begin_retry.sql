UPDATE {schema}.dead_letter_queue d
SET status = 'retrying', retrying_since = coalesce($3, statement_timestamp())
WHERE d.projection_name = $1 AND d.event_id = $2
    AND (
        d.status = 'failed'
        OR (
            d.status = 'retrying'
            AND coalesce(d.retrying_since, d.last_failed_at)
                <= coalesce($3, statement_timestamp()) - make_interval(secs => $4)
        )
    )
RETURNING {columns}
