-- What views are brought up by: the log, what tells this transaction from others, and how long a statement may take in it.
SELECT l.id, txid_current(), set_config('statement_timeout', coalesce($1, current_setting('statement_timeout')), true)
FROM {schema}.log l
