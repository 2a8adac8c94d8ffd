INSERT OR FAIL INTO main.recent_tags (tag, position) VALUES (?, ?)
