SELECT head, tags_moved FROM main.log WHERE id = 1
