-- Makes everything durable that was committed before, as far as the server's own synchronous_commit says, standbys
-- included: a commit waits for all of the WAL before it, if its transaction has written to the WAL, as the message does.
-- It must be called in a transaction of its own.
--
-- Returns which of these events, by ordinal, are not in the log. That they are proves that no crash and no failover has
-- taken them since they were seen: they come before this transaction in the WAL that it flushes. What was archived is
-- durable.
CREATE FUNCTION {schema}.flush_log(p_positions bigint[], p_event_ids uuid[]) RETURNS integer[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $body$
BEGIN
    PERFORM pg_logical_emit_message(true, 'eventsource', '');
    RETURN ARRAY(
        SELECT s.ordinality::integer
        FROM unnest(p_positions, p_event_ids) WITH ORDINALITY AS s(position, event_id, ordinality)
        WHERE s.position > (SELECT l.floor FROM {schema}.log l)
            AND NOT EXISTS (
                SELECT FROM {schema}.events e
                WHERE e.global_position = s.position AND e.event_id = s.event_id OFFSET 0
            )
    );
END
$body$;
