-- Version 1. Times are microseconds since 1970 (UTC), ids are 16-byte blobs.

CREATE TABLE log (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    log_id     BLOB    NOT NULL CHECK (length(log_id) = 16),
    -- The newest position ever given out. It lives here and not in the newest row, so that no position comes back when
    -- the tail of the log is deleted; it is written once per transaction, where AUTOINCREMENT would do so per event.
    head       INTEGER NOT NULL CHECK (head >= 0),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    global_position INTEGER PRIMARY KEY CHECK (global_position > 0),
    event_id        BLOB    NOT NULL,
    aggregate_id    BLOB,
    aggregate_type  TEXT,
    version         INTEGER,
    event_type      TEXT    NOT NULL,
    schema_version  INTEGER NOT NULL,
    tenant_id       BLOB,
    actor_id        TEXT,
    correlation_id  BLOB,
    causation_id    BLOB,
    -- A JSON object of text, absent if there is no entry.
    metadata        TEXT,
    -- A JSON array of text: what event_tags says, once more, so that reading needs no join.
    tags            TEXT    NOT NULL,
    -- When it occurred.
    timestamp       INTEGER NOT NULL,
    -- When it was recorded.
    created_at      INTEGER NOT NULL,
    -- The event's place in its append, from 0: this tells where one append ends and the next begins.
    append_index    INTEGER NOT NULL,
    payload         TEXT    NOT NULL,
    CHECK ((aggregate_id IS NULL) = (aggregate_type IS NULL) AND (aggregate_id IS NULL) = (version IS NULL))
) STRICT;

-- Every index of a rowid table ends in the rowid, which is the position: each of these answers "the next one after".
CREATE UNIQUE INDEX events_by_id ON events (event_id);
CREATE UNIQUE INDEX events_by_stream ON events (aggregate_id, aggregate_type, version) WHERE aggregate_id IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type);
CREATE INDEX events_by_aggregate_type ON events (aggregate_type) WHERE aggregate_type IS NOT NULL;
CREATE INDEX events_by_tenant ON events (tenant_id) WHERE tenant_id IS NOT NULL;

CREATE TABLE event_tags (
    tag      TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

-- The newest snapshot of each stream; found under the tenant that it was saved for.
CREATE TABLE snapshots (
    aggregate_id   BLOB    NOT NULL,
    aggregate_type TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    -- Where the event of that version lies.
    position       INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    tenant_id      BLOB,
    state          TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (aggregate_id, aggregate_type)
) STRICT;

-- The newest snapshot of each view, for each filter and tenant.
CREATE TABLE view_snapshots (
    name           TEXT    NOT NULL,
    -- The filter's fingerprint.
    filter         BLOB    NOT NULL CHECK (length(filter) = 32),
    -- The nil UUID for none: NULL would not be equal to itself.
    tenant_id      BLOB    NOT NULL,
    position       INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (name, filter, tenant_id)
) STRICT;

-- Events that are to be published, and those that were.
CREATE TABLE event_outbox (
    position       INTEGER PRIMARY KEY,
    event_id       BLOB    NOT NULL,
    event_type     TEXT    NOT NULL,
    aggregate_id   BLOB,
    aggregate_type TEXT,
    tenant_id      BLOB,
    -- The whole event, as JSON: it can be published when it is no longer in the log.
    event_data     TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    published_at   INTEGER,
    -- How many attempts have failed.
    retry_count    INTEGER NOT NULL DEFAULT 0,
    last_error     TEXT,
    status         TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'published', 'failed')),
    -- Until then nobody may claim it: somebody has, or it waits for its next attempt.
    held_until     INTEGER,
    claimed_by     TEXT,
    claim_id       BLOB
) STRICT;

CREATE INDEX event_outbox_pending ON event_outbox (position) WHERE status = 'pending';
CREATE INDEX event_outbox_held ON event_outbox (held_until) WHERE held_until IS NOT NULL;
CREATE INDEX event_outbox_claimed ON event_outbox (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX event_outbox_failed ON event_outbox (position) WHERE status = 'failed';
CREATE INDEX event_outbox_published ON event_outbox (published_at) WHERE status = 'published';

-- How far each consumer has come.
CREATE TABLE projection_checkpoints (
    projection_name     TEXT    NOT NULL PRIMARY KEY,
    log_id              BLOB    NOT NULL,
    global_position     INTEGER NOT NULL,
    -- The last event that was done: all three, or none.
    last_event_position INTEGER,
    last_event_id       BLOB,
    last_event_type     TEXT,
    events_processed    INTEGER NOT NULL,
    resets              INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events that a consumer failed on. The event itself stays in the log.
CREATE TABLE dead_letter_queue (
    projection_name TEXT    NOT NULL,
    event_id        BLOB    NOT NULL,
    global_position INTEGER NOT NULL,
    event_type      TEXT    NOT NULL,
    -- What holds later events back, if anything does.
    ordering_key    TEXT,
    error_message   TEXT    NOT NULL,
    retry_count     INTEGER NOT NULL,
    first_failed_at INTEGER NOT NULL,
    last_failed_at  INTEGER NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('failed', 'retrying', 'resolved')),
    retrying_since  INTEGER,
    resolved_at     INTEGER,
    resolved_by     TEXT,
    PRIMARY KEY (projection_name, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_letters_in_order ON dead_letter_queue (projection_name, global_position);
CREATE INDEX dead_letters_that_hold ON dead_letter_queue (projection_name, ordering_key)
    WHERE ordering_key IS NOT NULL AND status <> 'resolved';

-- Until when each member of a group is taken to be at work.
CREATE TABLE consumer_members (
    group_name TEXT    NOT NULL,
    member_id  BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (group_name, member_id)
) STRICT, WITHOUT ROWID;

-- The newest token of each lease, which grows for ever, and who holds it until when, if anybody does.
CREATE TABLE consumer_leases (
    group_name TEXT    NOT NULL,
    partition  INTEGER NOT NULL,
    token      INTEGER NOT NULL,
    member_id  BLOB,
    expires_at INTEGER,
    PRIMARY KEY (group_name, partition)
) STRICT, WITHOUT ROWID;
