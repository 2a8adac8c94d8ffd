DELETE FROM main.recent_tags
