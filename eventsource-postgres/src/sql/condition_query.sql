IF p_condition_queries[v_ordinal] IS NOT NULL THEN
    v_position := {schema}.first_found(
        p_condition_queries[v_ordinal], p_values[v_value + 1 : p_condition_values[v_ordinal]], v_after);
END IF;
