INSERT OR IGNORE INTO main.older_tags (tag, position) SELECT tag, position FROM main.recent_tags ORDER BY tag, position
