SELECT pg_advisory_xact_lock({lock_class}, '{schema}.events'::regclass::oid::integer)::text
