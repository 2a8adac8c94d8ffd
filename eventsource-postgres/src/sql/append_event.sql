-- The same as append_events for one request of one event under one condition at most, of items, which is what a lone caller
-- mostly asks: no arrays of events to take apart, and a third of the statements. The lock and the settings are there for the
-- same reasons. A log of an older version keeps the one without a condition, for the stores that are at work on it.
--
-- status: 0 appended, 1 the event id is taken, 2 the stream is not as expected, 3 the condition's filter matched.
CREATE OR REPLACE FUNCTION {schema}.append_event(
    p_lock_timeout text,
    p_commit text,
    p_recorded_at timestamptz,
    p_channel text,
    p_stream_type text,
    p_stream_id uuid,
    p_expected bigint,
    p_event_id uuid,
    p_event_type text,
    p_schema_version integer,
    p_payload jsonb,
    p_tenant uuid,
    p_actor text,
    p_correlation uuid,
    p_causation uuid,
    p_metadata jsonb,
    p_occurred timestamptz,
    p_event_tags text[],
    -- the condition: behind which position nothing may match; NULL for none. Then where each of its items' shares end
    p_condition_after bigint,
    p_item_tags integer[],
    p_item_types integer[],
    p_tags text[],
    p_types text[],
    OUT status integer,
    OUT stream_version bigint,
    OUT conflict_position bigint,
    OUT conflict_type text,
    OUT head bigint,
    OUT newest bigint,
    OUT newest_id uuid,
    OUT pipelined boolean,
    OUT deferred boolean
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $body$
DECLARE
    v_after ALIAS FOR p_condition_after;
    v_item CONSTANT integer := 0;
    v_last_item CONSTANT integer := cardinality(p_item_tags);
    v_position bigint;
    v_type text;
    v_found bigint;
    v_tag integer;
    v_item_type integer;
BEGIN
    {lock_log}

    status := 0;
    IF p_stream_id IS NOT NULL THEN
        stream_version := (
            SELECT e.version FROM {schema}.events e
            WHERE (e.aggregate_id, e.aggregate_type, e.version) >= (p_stream_id, p_stream_type, greatest(p_expected, 1))
                AND (e.aggregate_id, e.aggregate_type, e.version) <= (p_stream_id, p_stream_type, 9223372036854775807)
            ORDER BY e.aggregate_id DESC, e.aggregate_type DESC, e.version DESC LIMIT 1
        );
        IF stream_version IS NULL AND p_expected > 1 THEN
            stream_version := (
                SELECT e.version FROM {schema}.events e
                WHERE (e.aggregate_id, e.aggregate_type, e.version) >= (p_stream_id, p_stream_type, 1)
                    AND (e.aggregate_id, e.aggregate_type, e.version) <= (p_stream_id, p_stream_type, p_expected)
                ORDER BY e.aggregate_id DESC, e.aggregate_type DESC, e.version DESC LIMIT 1
            );
        END IF;
        stream_version := coalesce(stream_version, 0);
        IF p_expected <> stream_version AND p_expected <> -1 AND (p_expected <> -2 OR stream_version = 0) THEN
            status := 2;
        END IF;
    END IF;

    IF status = 0 AND p_condition_after IS NOT NULL THEN
        {find_conflict}
        IF v_position IS NOT NULL THEN
            conflict_position := v_position;
            conflict_type := v_type;
            status := 3;
        END IF;
    END IF;

    IF status <> 0 THEN
        -- A taken id comes first: it may be this very append, repeated.
        IF EXISTS (SELECT FROM {schema}.events e WHERE e.event_id = p_event_id OFFSET 0) THEN
            status := 1;
        END IF;
        deferred := false;
        RETURN;
    END IF;

    p_recorded_at := coalesce(p_recorded_at, clock_timestamp());
    INSERT INTO {schema}.events (
        global_position, event_id, aggregate_id, aggregate_type, event_type, tenant_id, actor_id, version, timestamp,
        payload, created_at, schema_version, correlation_id, causation_id, metadata, tags, append_index
    ) VALUES (
        head + 1, p_event_id, p_stream_id, p_stream_type, p_event_type, p_tenant, p_actor, stream_version + 1,
        coalesce(p_occurred, p_recorded_at), p_payload, p_recorded_at, p_schema_version, p_correlation, p_causation,
        p_metadata, p_event_tags, 0
    ) ON CONFLICT (event_id) DO NOTHING;
    IF NOT FOUND THEN
        status := 1;
        deferred := false;
        RETURN;
    END IF;

    INSERT INTO {schema}.event_tags (tag, position) SELECT unnest(p_event_tags), head + 1;

    IF deferred THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    IF p_channel IS NOT NULL THEN
        PERFORM pg_notify(p_channel, '');
    END IF;
END
$body$;
