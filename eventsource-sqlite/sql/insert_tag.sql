INSERT INTO main.event_tags (tag, position) VALUES (?1, ?2)
