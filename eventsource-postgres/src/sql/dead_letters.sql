SELECT {columns}
FROM {schema}.dead_letter_queue d
WHERE ($1 IS NULL OR d.projection_name = $1) AND ($2 IS NULL OR d.status = $2) AND d.global_position > $3
ORDER BY d.global_position, d.projection_name
LIMIT $4
