DELETE FROM view_snapshots WHERE name = ?1 AND filter = ?2 AND tenant_id = ?3
