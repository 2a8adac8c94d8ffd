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
    {leap_in_tenant}
END
$body$;
