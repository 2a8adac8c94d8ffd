UPDATE main.log SET head = ?1, tags_moved = ?2 WHERE id = 1
