-- Leaps from list to list until all agree on a position.
LOOP
    v_list := v_list % v_lists + 1;
    IF v_list <= v_tags THEN
        v_found := (SELECT t.position FROM {schema}.event_tags t
                    WHERE t.tag = p_tags[v_list] AND t.position >= v_candidate
                    ORDER BY t.tag, t.position LIMIT 1);
    {another_list}
    ELSE
        v_found := NULL;
        FOREACH v_type IN ARRAY p_types LOOP
            -- The row comparison says what the index on (event_type, global_position) can do and the primary key
            -- can't: without it an empty table makes the two look alike.
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
