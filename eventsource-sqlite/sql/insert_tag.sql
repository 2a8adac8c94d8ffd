INSERT OR FAIL INTO main.event_tags (tag, position) VALUES (?, ?)
