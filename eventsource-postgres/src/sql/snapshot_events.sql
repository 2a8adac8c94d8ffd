-- A snapshot says which event it was taken at. Those of views that are there do not, and are taken anew; a stream's is known
-- by its place. Another program need not say: such a snapshot is not built upon.
ALTER TABLE {schema}.snapshots ADD COLUMN event_id UUID;
UPDATE {schema}.snapshots SET event_id = events.event_id
FROM {schema}.events WHERE events.global_position = snapshots.position;
DELETE FROM {schema}.view_snapshots;
ALTER TABLE {schema}.view_snapshots ADD COLUMN event_id UUID NOT NULL;
