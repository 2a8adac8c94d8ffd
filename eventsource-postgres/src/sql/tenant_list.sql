ELSIF v_list = v_lists THEN
    -- The row comparisons are for the planner, as for types.
    v_found := (SELECT e.global_position FROM {schema}.events e
                WHERE e.tenant_id = p_tenant AND (e.tenant_id, e.global_position) >= (p_tenant, v_candidate)
                ORDER BY e.tenant_id, e.global_position LIMIT 1);
