SELECT 1 FROM {schema}.dead_letter_queue
WHERE projection_name = $1 AND ordering_key = $2 AND status <> 'resolved'
LIMIT 1
FOR SHARE
