-- Tags are collected in a small table, and moved on in key order: the leaves of a large one are written once for many
-- events, not for each. Whoever reads event_tags finds both; a program of an older version that still runs does so as
-- well, and can't write there what others would not find.

-- The views and triggers of others that name event_tags mean both.
PRAGMA legacy_alter_table = ON;
ALTER TABLE event_tags RENAME TO older_tags;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE recent_tags (
    tag      TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

CREATE VIEW event_tags (tag, position) AS
SELECT tag, position FROM older_tags
UNION ALL
SELECT tag, position FROM recent_tags;

-- Tags of events up to this position lie in older_tags, those behind it in recent_tags.
ALTER TABLE log ADD COLUMN tags_moved INTEGER NOT NULL DEFAULT 0 CHECK (tags_moved >= 0);
UPDATE log SET tags_moved = head;
