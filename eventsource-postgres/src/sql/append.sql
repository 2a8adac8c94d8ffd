-- The way into the log. Every writer calls it: one append or a batch of them, of a store or of a caller's transaction. (An
-- append of one event under a condition of tags and types, or under none, takes the short cut, append_event.) A migration
-- may run this on a log that has an older version of it, while stores are at work: it has to keep its arguments.
--
-- Its statements must each be one index look-up, on an empty, an un-analysed and a large table alike, because their plans
-- are made once for a connection's life. Hence the settings: a generic plan at once, nothing but index scans and nested
-- loops to choose from, and no JIT, which disabled plan nodes would switch on (measured: 4 appends/s).

-- The lowest position behind p_after of an event that carries all of p_tags and has one of p_types; of any event, where
-- both are empty. Each tag, and all types together, is a list of positions in order; they are joined by leaping from
-- list to list, so the rarest one bounds the work, whatever the statistics know.
CREATE OR REPLACE FUNCTION {schema}.first_match(p_tags text[], p_types text[], p_after bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $body$
DECLARE
    v_tags CONSTANT integer := cardinality(p_tags);
    v_lists CONSTANT integer := v_tags + (cardinality(p_types) > 0)::integer;
    v_candidate bigint := p_after + 1;
    v_found bigint;
    v_next bigint;
    v_type text;
    v_list integer := 0;
    v_agreed integer := 0;
BEGIN
    IF v_lists = 0 THEN
        RETURN (SELECT e.global_position FROM {schema}.events e
                WHERE e.global_position > p_after ORDER BY e.global_position LIMIT 1);
    END IF;
    {leap}
END
$body$;

-- The lowest position that p_query finds: SQL text of the store's own making that holds placeholders and no value. The
-- planner knows the values ($1) and where to begin ($2), and may use every kind of scan: a payload index has only bitmaps.
CREATE OR REPLACE FUNCTION {schema}.first_found(p_query text, p_values text[], p_after bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
SET enable_bitmapscan = on
SET enable_hashjoin = on
SET enable_mergejoin = on
SET enable_material = on
AS $body$
DECLARE
    v_position bigint;
BEGIN
    EXECUTE p_query INTO v_position USING p_values, p_after;
    RETURN v_position;
END
$body$;

-- Appends a batch of requests, each of them wholly or not at all, in their order; later ones see the earlier ones. Lists
-- within lists come as one flat array and, for each owner, the ordinal at which its share ends.
--
-- statuses: 0 appended, 1 an event id is taken, 2 a stream is not as expected, 3 a condition's filter matched.
CREATE OR REPLACE FUNCTION {schema}.append_events(
    p_lock_timeout text,
    -- 'flushed', 'pipelined', or 'contended': pipelined only if another writer holds the log's lock
    p_commit text,
    p_recorded_at timestamptz,
    p_channel text,
    -- the streams that the batch names
    p_stream_types text[],
    p_stream_ids uuid[],
    -- for each, the version from which on to look for its newest first; any is right
    p_stream_at_least bigint[],
    -- requests: where their events, parts and conditions end
    p_request_events integer[],
    p_request_parts integer[],
    p_request_conditions integer[],
    -- parts of requests that go to a stream; expected: a version, 0 none, -1 any, -2 some
    p_part_streams integer[],
    p_part_expected bigint[],
    p_part_events integer[],
    -- conditions: either items or a query with values; blockers are earlier events of the batch that match
    p_condition_after bigint[],
    p_condition_items integer[],
    p_condition_queries text[],
    p_condition_values integer[],
    p_condition_blockers integer[],
    p_item_tags integer[],
    p_item_types integer[],
    p_tags text[],
    p_types text[],
    p_values text[],
    p_blockers integer[],
    -- events
    p_event_requests integer[],
    p_event_indexes integer[],
    p_event_parts integer[],
    p_event_offsets integer[],
    p_event_ids uuid[],
    p_event_types text[],
    p_event_schema_versions integer[],
    p_event_payloads jsonb[],
    p_event_tenants uuid[],
    p_event_actors text[],
    p_event_correlations uuid[],
    p_event_causations uuid[],
    p_event_metadata jsonb[],
    p_event_occurred timestamptz[],
    p_event_tags text[],
    -- one entry for each tag that an event carries
    p_tag_events integer[],
    p_tag_tags text[],
    -- the events that go into the outbox
    p_outbox integer[],
    OUT firsts bigint[],
    OUT statuses integer[],
    OUT part_versions bigint[],
    OUT conflict_parts integer[],
    OUT conflict_positions bigint[],
    OUT conflict_types text[],
    -- what the log was when its lock was taken: its head, its newest event, and whether that may be not durable yet
    OUT head bigint,
    OUT newest bigint,
    OUT newest_id uuid,
    OUT pipelined boolean,
    -- whether something was written whose commit does not wait for the flush
    OUT deferred boolean
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $body$
DECLARE
    v_requests CONSTANT integer := cardinality(p_request_events);
    v_head bigint;
    v_versions bigint[];
    v_taken integer[];
    v_status integer;
    v_version bigint;
    v_expected bigint;
    v_position bigint;
    v_found bigint;
    v_type text;
    v_any boolean := false;
    v_part integer := 0;
    v_first_part integer;
    v_condition integer := 0;
    v_after bigint;
    v_item integer := 0;
    v_last_item integer;
    v_blocker integer := 0;
    v_tag integer := 0;
    v_item_type integer := 0;
    v_value integer := 0;
    v_event integer := 0;
    v_events integer;
BEGIN
    {lock_log}
    v_head := head;

    -- Ids that are made in the order of time lie behind all that are stored: only the others are looked up.
    SELECT array_agg(u.request) INTO v_taken
    FROM (SELECT unnest(p_event_ids) AS id, unnest(p_event_requests) AS request) u
    WHERE u.id <= (SELECT e.event_id FROM {schema}.events e ORDER BY e.event_id DESC LIMIT 1)
        AND EXISTS (SELECT FROM {schema}.events e WHERE e.event_id = u.id OFFSET 0);

    -- Row comparisons, because only the index that begins with aggregate_id can do them. Equalities would let the planner
    -- take the one on aggregate_type while the log is small, and keep that plan.
    -- A look-up reads all that matches on an index page, not only the newest. So it begins at the version that the batch
    -- expects, which nearly always is the newest, and begins anew where there is nothing from there on.
    v_versions := ARRAY(
        SELECT coalesce(
            (
                SELECT e.version FROM {schema}.events e
                WHERE (e.aggregate_id, e.aggregate_type, e.version) >= (u.id, u.type, u.at_least)
                    AND (e.aggregate_id, e.aggregate_type, e.version) <= (u.id, u.type, 9223372036854775807)
                ORDER BY e.aggregate_id DESC, e.aggregate_type DESC, e.version DESC LIMIT 1
            ),
            CASE WHEN u.at_least > 1 THEN (
                SELECT e.version FROM {schema}.events e
                WHERE (e.aggregate_id, e.aggregate_type, e.version) >= (u.id, u.type, 1)
                    AND (e.aggregate_id, e.aggregate_type, e.version) <= (u.id, u.type, u.at_least)
                ORDER BY e.aggregate_id DESC, e.aggregate_type DESC, e.version DESC LIMIT 1
            ) END,
            0
        )
        FROM (
            SELECT unnest(p_stream_types) AS type, unnest(p_stream_ids) AS id, unnest(p_stream_at_least) AS at_least
        ) u
    );

    part_versions := array_fill(NULL::bigint, ARRAY[cardinality(p_part_streams)]);
    firsts := array_fill(NULL::bigint, ARRAY[v_requests]);
    statuses := array_fill(0, ARRAY[v_requests]);
    conflict_parts := array_fill(NULL::integer, ARRAY[v_requests]);
    conflict_positions := array_fill(NULL::bigint, ARRAY[v_requests]);
    conflict_types := array_fill(NULL::text, ARRAY[v_requests]);

    FOR v_request IN 1 .. v_requests LOOP
        v_status := 0;
        IF v_taken IS NOT NULL AND v_request = ANY (v_taken) THEN
            v_status := 1;
        END IF;

        v_first_part := v_part + 1;
        FOR v_ordinal IN v_first_part .. p_request_parts[v_request] LOOP
            v_version := v_versions[p_part_streams[v_ordinal]];
            part_versions[v_ordinal] := v_version;
            v_expected := p_part_expected[v_ordinal];
            IF v_status = 0 AND v_expected <> v_version AND v_expected <> -1
                AND (v_expected <> -2 OR v_version = 0) THEN
                v_status := 2;
                conflict_parts[v_request] := v_ordinal;
            END IF;
        END LOOP;
        v_part := p_request_parts[v_request];

        FOR v_ordinal IN v_condition + 1 .. p_request_conditions[v_request] LOOP
            EXIT WHEN v_status <> 0;
            IF v_ordinal > 1 THEN
                v_item := p_condition_items[v_ordinal - 1];
                v_value := p_condition_values[v_ordinal - 1];
                v_blocker := p_condition_blockers[v_ordinal - 1];
            END IF;
            v_after := p_condition_after[v_ordinal];
            v_last_item := p_condition_items[v_ordinal];
            {find_conflict_by_query}
            IF v_position IS NULL THEN
                FOR v_each IN v_blocker + 1 .. p_condition_blockers[v_ordinal] LOOP
                    v_found := firsts[p_event_requests[p_blockers[v_each]]] + p_event_indexes[p_blockers[v_each]];
                    IF v_found > v_after THEN
                        v_position := v_found;
                        v_type := p_event_types[p_blockers[v_each]];
                        EXIT;
                    END IF;
                END LOOP;
            END IF;
            IF v_position IS NOT NULL THEN
                v_status := 3;
                conflict_positions[v_request] := v_position;
                conflict_types[v_request] := v_type;
            END IF;
        END LOOP;
        v_condition := p_request_conditions[v_request];

        v_events := p_request_events[v_request] - v_event;
        v_event := p_request_events[v_request];
        IF v_status = 0 THEN
            v_any := true;
            firsts[v_request] := v_head + 1;
            v_head := v_head + v_events;
            FOR v_ordinal IN v_first_part .. v_part LOOP
                v_versions[p_part_streams[v_ordinal]] :=
                    v_versions[p_part_streams[v_ordinal]] + p_part_events[v_ordinal];
            END LOOP;
        ELSE
            statuses[v_request] := v_status;
        END IF;
    END LOOP;

    IF NOT v_any THEN
        deferred := false;
        RETURN;
    END IF;
    IF deferred THEN
        -- For this transaction only. The lock is free as soon as the commit is in the WAL; whoever acknowledges or shows
        -- it calls flush_log first.
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;

    p_recorded_at := coalesce(p_recorded_at, clock_timestamp());
    INSERT INTO {schema}.events (
        global_position, event_id, aggregate_id, aggregate_type, event_type, tenant_id, actor_id, version, timestamp,
        payload, created_at, schema_version, correlation_id, causation_id, metadata, tags, append_index
    )
    SELECT
        firsts[e.request] + e.index, e.id, p_stream_ids[p_part_streams[e.part]], p_stream_types[p_part_streams[e.part]],
        e.type, e.tenant, e.actor, part_versions[e.part] + e.offset_in_part, coalesce(e.occurred, p_recorded_at),
        e.payload, p_recorded_at, e.schema_version, e.correlation, e.causation, e.metadata, e.tags::text[], e.index
    FROM (
        SELECT
            unnest(p_event_requests) AS request, unnest(p_event_indexes) AS index, unnest(p_event_parts) AS part,
            unnest(p_event_offsets) AS offset_in_part, unnest(p_event_ids) AS id, unnest(p_event_types) AS type,
            unnest(p_event_schema_versions) AS schema_version, unnest(p_event_payloads) AS payload,
            unnest(p_event_tenants) AS tenant, unnest(p_event_actors) AS actor,
            unnest(p_event_correlations) AS correlation, unnest(p_event_causations) AS causation,
            unnest(p_event_metadata) AS metadata, unnest(p_event_occurred) AS occurred, unnest(p_event_tags) AS tags
    ) e
    WHERE firsts[e.request] IS NOT NULL;

    INSERT INTO {schema}.event_tags (tag, position)
    SELECT t.tag, firsts[p_event_requests[t.event]] + p_event_indexes[t.event]
    FROM (SELECT unnest(p_tag_events) AS event, unnest(p_tag_tags) AS tag) t
    WHERE firsts[p_event_requests[t.event]] IS NOT NULL;

    IF cardinality(p_outbox) > 0 THEN
        -- The names are those of the tutorial's wrapper, and of `RecordedEvent::to_json`.
        INSERT INTO {schema}.event_outbox (
            position, event_id, event_type, aggregate_id, aggregate_type, tenant_id, created_at, event_data
        )
        SELECT
            e.global_position, e.event_id, e.event_type, e.aggregate_id, e.aggregate_type, e.tenant_id, e.created_at,
            jsonb_build_object(
                'position', e.global_position, 'event_id', e.event_id, 'event_type', e.event_type,
                'schema_version', e.schema_version, 'aggregate_id', e.aggregate_id, 'aggregate_type', e.aggregate_type,
                'version', e.version, 'tenant_id', e.tenant_id, 'actor_id', e.actor_id,
                'correlation_id', e.correlation_id, 'causation_id', e.causation_id, 'metadata', e.metadata,
                'tags', e.tags, 'payload', e.payload,
                'occurred_at', (to_jsonb(e.timestamp AT TIME ZONE 'UTC') #>> '{}') || 'Z',
                'recorded_at', (to_jsonb(e.created_at AT TIME ZONE 'UTC') #>> '{}') || 'Z'
            )
        FROM unnest(p_outbox) AS o(event)
        JOIN {schema}.events e ON e.global_position = firsts[p_event_requests[o.event]] + p_event_indexes[o.event];
    END IF;

    IF p_channel IS NOT NULL THEN
        PERFORM pg_notify(p_channel, '');
    END IF;
END
$body$;
