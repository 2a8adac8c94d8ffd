-- Everything that changes who has which entry is done under this lock, one after the other, in short transactions; the
-- time is told when it is held. So no claim looks at entries that another is just taking or giving back.
SELECT
    set_config('lock_timeout', $1, true),
    pg_advisory_xact_lock({lock_class}, '{schema}.event_outbox'::regclass::oid::integer)::text,
    coalesce($2, clock_timestamp()) AS now
