-- Items that events named by nothing but an id that no folder knows: each is looked at once. `mark` is the generation of the newest event.
CREATE TABLE stray (
    account INTEGER NOT NULL,
    id      TEXT NOT NULL,
    mark    INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

-- What events make us expect of items that are to be looked at, and of names in folders that are to be listed: an answer that shows nothing
-- of it may be older than the event, and is asked for again.
CREATE TABLE expected (
    node    INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    gone    INTEGER NOT NULL,
    parent  INTEGER,
    name    TEXT,
    version TEXT
);
CREATE TABLE expected_name (
    dir  INTEGER NOT NULL REFERENCES item (node) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (dir, name)
) WITHOUT ROWID;

-- When the place in the stream was last taken anew, ms: what happened just before, and is told after, was not seen in its order.
ALTER TABLE account ADD COLUMN taken_at INTEGER;
