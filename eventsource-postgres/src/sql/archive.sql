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
    UPDATE {schema}.log SET floor = greatest(floor, (SELECT max(global_position) FROM {schema}.events));
    TRUNCATE {schema}.event_tags;
    RETURN NULL;
END
$body$;

CREATE TRIGGER forget_truncated_events BEFORE TRUNCATE ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.forget_truncated_events();
