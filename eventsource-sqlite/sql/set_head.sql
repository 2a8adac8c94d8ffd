UPDATE main.log SET head = ?1 WHERE id = 1
