-- Archiving is a plain DELETE. What the log promises survives it: no position is assigned twice (the floor), the head
-- never moves back, and no condition is refused because of an event that is gone (the tags go with it).

CREATE FUNCTION {schema}.forget_deleted_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    UPDATE {schema}.log
    SET floor = greatest(floor, (SELECT max(global_position) FROM deleted))
    WHERE floor < (SELECT max(global_position) FROM deleted);

    DELETE FROM {schema}.event_tags t
    USING deleted d, unnest(d.tags) AS carried(tag)
    WHERE t.tag = carried.tag AND t.position = d.global_position;
    RETURN NULL;
END
$body$;

CREATE TRIGGER forget_deleted_events AFTER DELETE ON {schema}.events
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.forget_deleted_events();

CREATE FUNCTION {schema}.forget_truncated_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    -- TRUNCATE takes what an older snapshot does not see, and positions would come back.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'events can only be truncated in a transaction of isolation level READ COMMITTED, not %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'ES001';
    END IF;
    UPDATE {schema}.log SET floor = greatest(floor, (SELECT max(global_position) FROM {schema}.events));
    TRUNCATE {schema}.event_tags;
    RETURN NULL;
END
$body$;

CREATE TRIGGER forget_truncated_events BEFORE TRUNCATE ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.forget_truncated_events();
