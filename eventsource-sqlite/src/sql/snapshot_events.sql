-- A snapshot says which event it was taken at. Those of views that are there do not, and are taken anew; a stream's is known
-- by its place.
ALTER TABLE snapshots ADD COLUMN event_id BLOB;
UPDATE snapshots SET event_id = (SELECT event_id FROM events WHERE events.global_position = snapshots.position);
DELETE FROM snapshots WHERE event_id IS NULL;
DELETE FROM view_snapshots;
ALTER TABLE view_snapshots ADD COLUMN event_id BLOB;
