UPDATE main.event_outbox SET claim_id = ?2, claimed_by = ?3, held_until = ?4 WHERE position = ?1
