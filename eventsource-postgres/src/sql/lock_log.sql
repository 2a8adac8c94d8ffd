-- A snapshot that is older than the lock would overlook what was appended in between: duplicates, lost updates.
IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'an append needs a transaction of isolation level READ COMMITTED, not %',
        upper(current_setting('transaction_isolation'))
        USING ERRCODE = 'ES001';
END IF;

-- A statement of its own: the next one's snapshot is taken when the lock is held. It is held until commit.
deferred := p_commit = 'pipelined';
IF NOT pg_try_advisory_xact_lock({lock_class}, '{schema}.events'::regclass::oid::integer) THEN
    deferred := p_commit <> 'flushed';
    PERFORM set_config('lock_timeout', p_lock_timeout, true);
    PERFORM pg_advisory_xact_lock({lock_class}, '{schema}.events'::regclass::oid::integer);
END IF;

SELECT greatest(e.global_position, l.floor), e.global_position, e.event_id, l.pipelined
INTO STRICT head, newest, newest_id, pipelined
FROM {schema}.log l
LEFT JOIN LATERAL (
    SELECT n.global_position, n.event_id FROM {schema}.events n ORDER BY n.global_position DESC LIMIT 1
) e ON true;
