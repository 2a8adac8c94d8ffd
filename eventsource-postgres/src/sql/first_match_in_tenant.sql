-- first_match among one tenant's events, whose positions are one more list to leap on: neither a tag that is everywhere nor a
-- tenant that owns nearly all is read through, whatever the statistics know. It is called by planned queries, which may use
-- every kind of scan; here there are index look-ups alone.
CREATE FUNCTION {schema}.first_match_in_tenant(p_tags text[], p_types text[], p_tenant uuid, p_after bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $body$
DECLARE
    v_tags CONSTANT integer := cardinality(p_tags);
    v_lists CONSTANT integer := v_tags + (cardinality(p_types) > 0)::integer + 1;
    v_candidate bigint := p_after + 1;
    v_found bigint;
    v_next bigint;
    v_type text;
    v_list integer := 0;
    v_agreed integer := 0;
BEGIN
    LOOP
        v_list := v_list % v_lists + 1;
        IF v_list <= v_tags THEN
            v_found := (SELECT t.position FROM {schema}.event_tags t
                        WHERE t.tag = p_tags[v_list] AND t.position >= v_candidate
                        ORDER BY t.tag, t.position LIMIT 1);
        ELSIF v_list = v_lists THEN
            -- The row comparisons are for the planner, as in first_match.
            v_found := (SELECT e.global_position FROM {schema}.events e
                        WHERE e.tenant_id = p_tenant AND (e.tenant_id, e.global_position) >= (p_tenant, v_candidate)
                        ORDER BY e.tenant_id, e.global_position LIMIT 1);
        ELSE
            v_found := NULL;
            FOREACH v_type IN ARRAY p_types LOOP
                v_next := (SELECT e.global_position FROM {schema}.events e
                           WHERE e.event_type = v_type AND (e.event_type, e.global_position) >= (v_type, v_candidate)
                           ORDER BY e.event_type, e.global_position LIMIT 1);
                v_found := least(v_found, v_next);
                EXIT WHEN v_found = v_candidate;
            END LOOP;
        END IF;
        IF v_found IS NULL THEN
            RETURN NULL;
        ELSIF v_found = v_candidate THEN
            v_agreed := v_agreed + 1;
        ELSE
            v_candidate := v_found;
            v_agreed := 1;
        END IF;
        IF v_agreed = v_lists THEN
            RETURN v_candidate;
        END IF;
    END LOOP;
END
$body$;
