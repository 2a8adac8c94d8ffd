DELETE FROM snapshots WHERE aggregate_id = ?1 AND aggregate_type = ?2 AND tenant_id IS ?3
