-- The lowest position behind v_after of an event that the condition matches, into v_position; its type, into v_type. Each
-- statement sees what was committed by then: an event that is archived between two of them is looked for again, and not
-- found.
FOR v_look IN 1 .. 3 LOOP
    v_position := NULL;
    {by_query}
    FOR v_each IN v_item + 1 .. v_last_item LOOP
        v_tag := coalesce(p_item_tags[v_each - 1], 0);
        v_item_type := coalesce(p_item_types[v_each - 1], 0);
        IF p_item_tags[v_each] = v_tag + 1 AND p_item_types[v_each] = v_item_type THEN
            -- By far the most frequent condition: one tag.
            v_found := (SELECT t.position FROM {schema}.event_tags t
                        WHERE t.tag = p_tags[v_tag + 1] AND t.position > v_after
                        ORDER BY t.tag, t.position LIMIT 1);
        ELSE
            v_found := {schema}.first_match(
                p_tags[v_tag + 1 : p_item_tags[v_each]], p_types[v_item_type + 1 : p_item_types[v_each]], v_after);
        END IF;
        v_position := least(v_position, v_found);
    END LOOP;
    EXIT WHEN v_position IS NULL;
    v_type := (SELECT e.event_type FROM {schema}.events e WHERE e.global_position = v_position);
    EXIT WHEN v_type IS NOT NULL;
END LOOP;
IF v_position IS NOT NULL AND v_type IS NULL THEN
    RAISE EXCEPTION 'a tag is stored for position %, where no event lies', v_position USING ERRCODE = 'data_corrupted';
END IF;
