-- Names and types are those of the tutorial that users come from (docs/guide); what it has not is marked with (+).
-- Text that is only ever compared for equality is COLLATE "C": a comparison is a memcmp, whatever the database's locale.

-- (+) One row: which log this is, and below which position nothing is ever assigned again.
CREATE TABLE {schema}.log (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    -- Positions up to here were assigned once, though the events may have been archived since.
    floor BIGINT NOT NULL DEFAULT 0,
    -- Whether events may be visible before they are durable: set before the first pipelined commit. Whoever reads an
    -- event reads this in the same snapshot, and so knows whether to wait for a flush.
    pipelined BOOLEAN NOT NULL DEFAULT FALSE,
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (only_row)
);
INSERT INTO {schema}.log DEFAULT VALUES;

CREATE TABLE {schema}.events (
    -- Assigned by append_events under the log's lock, so that commit order is position order; hence no sequence.
    global_position BIGINT PRIMARY KEY,
    event_id UUID NOT NULL UNIQUE,
    -- NULL, all three, for an event that belongs to no stream.
    aggregate_id UUID,
    aggregate_type VARCHAR(255) COLLATE "C",
    event_type VARCHAR(255) COLLATE "C" NOT NULL,
    tenant_id UUID,
    actor_id VARCHAR(255),
    version BIGINT,
    -- When it occurred.
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    payload JSONB NOT NULL,
    -- When it was recorded.
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    schema_version INTEGER NOT NULL DEFAULT 1, -- (+)
    correlation_id UUID, -- (+)
    causation_id UUID, -- (+)
    metadata JSONB, -- (+)
    tags TEXT[] NOT NULL DEFAULT '{}', -- (+)
    -- (+) The event's index in its append, from 0: where an append begins and ends.
    append_index INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT uq_events_aggregate_version UNIQUE (aggregate_id, aggregate_type, version),
    CONSTRAINT chk_events_stream CHECK (num_nulls(aggregate_id, aggregate_type, version) IN (0, 3))
);

-- Each carries the position, so that what is read in log order needs no sort. The tutorial's index on aggregate_id and
-- the one on (aggregate_id, aggregate_type, version) only repeat the unique constraint's.
CREATE INDEX idx_events_event_type ON {schema}.events (event_type, global_position);
CREATE INDEX idx_events_aggregate_type ON {schema}.events (aggregate_type, global_position)
    WHERE aggregate_type IS NOT NULL;
CREATE INDEX idx_events_tenant_id ON {schema}.events (tenant_id, global_position) WHERE tenant_id IS NOT NULL;
-- Time runs nearly with position: a block range index finds it and costs next to nothing to keep.
CREATE INDEX idx_events_timestamp ON {schema}.events USING brin (timestamp);

-- (+) Which events carry a tag, in log order. No foreign key: it would cost a look-up for each row, and the triggers on
-- events keep it true.
CREATE TABLE {schema}.event_tags (
    tag TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (tag, position)
);

-- Events that are to be published, and those that were.
CREATE TABLE {schema}.event_outbox (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    event_id UUID NOT NULL,
    event_type VARCHAR(255) COLLATE "C" NOT NULL,
    aggregate_id UUID,
    aggregate_type VARCHAR(255) COLLATE "C",
    tenant_id UUID,
    -- The whole event: it can be published when it is no longer in the log.
    event_data JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    published_at TIMESTAMP WITH TIME ZONE,
    -- How many attempts have failed.
    retry_count INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    -- (+) The event's; NULL in rows that others than the store have inserted, which its relays leave to them.
    position BIGINT,
    -- (+) Until then nobody may claim it: somebody has, or it waits for its next attempt.
    held_until TIMESTAMP WITH TIME ZONE,
    claimed_by VARCHAR(255), -- (+)
    claim_id UUID, -- (+)
    CONSTRAINT chk_outbox_status CHECK (status IN ('pending', 'published', 'failed'))
);
CREATE INDEX idx_outbox_pending ON {schema}.event_outbox (created_at) WHERE status = 'pending';
-- (+) What is due, in log order; what is held; whose; what was given up; what can be deleted.
CREATE INDEX idx_outbox_due ON {schema}.event_outbox (position) WHERE status = 'pending';
CREATE INDEX idx_outbox_held ON {schema}.event_outbox (held_until) WHERE held_until IS NOT NULL;
CREATE INDEX idx_outbox_claimed ON {schema}.event_outbox (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX idx_outbox_failed ON {schema}.event_outbox (position) WHERE status = 'failed';
CREATE INDEX idx_outbox_published ON {schema}.event_outbox (published_at) WHERE status = 'published';

CREATE TABLE {schema}.projection_checkpoints (
    projection_name VARCHAR(255) COLLATE "C" PRIMARY KEY,
    global_position BIGINT NOT NULL,
    last_event_id UUID,
    last_event_type VARCHAR(255),
    events_processed BIGINT NOT NULL DEFAULT 0,
    log_id UUID, -- (+) the log that it is a place in; this one, if it is not said
    last_event_position BIGINT, -- (+)
    resets BIGINT NOT NULL DEFAULT 0, -- (+) how often it was set back
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

CREATE TABLE {schema}.dead_letter_queue (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id UUID NOT NULL,
    projection_name VARCHAR(255) COLLATE "C" NOT NULL,
    event_type VARCHAR(255) NOT NULL,
    event_data JSONB NOT NULL,
    error_message TEXT NOT NULL,
    retry_count INTEGER NOT NULL DEFAULT 0,
    first_failed_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    last_failed_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    status VARCHAR(20) NOT NULL DEFAULT 'failed',
    resolved_at TIMESTAMP WITH TIME ZONE,
    resolved_by VARCHAR(255),
    global_position BIGINT NOT NULL DEFAULT 0, -- (+)
    ordering_key TEXT, -- (+) what holds later events back, if anything does
    retrying_since TIMESTAMP WITH TIME ZONE, -- (+)
    CONSTRAINT uq_dlq_event_projection UNIQUE (event_id, projection_name),
    CONSTRAINT chk_dlq_status CHECK (status IN ('failed', 'retrying', 'resolved'))
);

CREATE INDEX idx_dlq_projection ON {schema}.dead_letter_queue (projection_name, global_position);
CREATE INDEX idx_dlq_holding ON {schema}.dead_letter_queue (projection_name, ordering_key)
    WHERE ordering_key IS NOT NULL AND status <> 'resolved';

-- (+) Until when each member of a group is taken to be at work.
CREATE TABLE {schema}.consumer_members (
    group_name VARCHAR(255) COLLATE "C" NOT NULL,
    member_id UUID NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (group_name, member_id)
);

-- (+) The newest token of each lease, which grows for ever, and who holds it until when, if anybody does.
CREATE TABLE {schema}.consumer_leases (
    group_name VARCHAR(255) COLLATE "C" NOT NULL,
    partition INTEGER NOT NULL,
    token BIGINT NOT NULL,
    member_id UUID,
    expires_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (group_name, partition)
);

-- The newest snapshot of each stream; found under the tenant that it was saved for.
CREATE TABLE {schema}.snapshots (
    aggregate_id UUID NOT NULL,
    aggregate_type VARCHAR(255) NOT NULL,
    version BIGINT NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1,
    state JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    -- (+) Where the event of that version lies. One that another program saved does not say, and is not built upon.
    position BIGINT NOT NULL DEFAULT 0,
    tenant_id UUID, -- (+)
    PRIMARY KEY (aggregate_id, aggregate_type)
);

-- (+) The newest snapshot of each view, for each filter and tenant.
CREATE TABLE {schema}.view_snapshots (
    name VARCHAR(255) COLLATE "C" NOT NULL,
    -- The filter's fingerprint.
    filter BYTEA NOT NULL,
    -- The nil UUID for none.
    tenant_id UUID NOT NULL,
    position BIGINT NOT NULL,
    schema_version INTEGER NOT NULL,
    state JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (name, filter, tenant_id)
);
