-- Undo: contents that can be brought back, files that are kept off the disk, and when files arrived.

-- When a kept content was given up, ms. Its file goes at once, and is looked for once more when the folder is next opened.
ALTER TABLE version ADD COLUMN dropped INTEGER;
CREATE INDEX version_age ON version (folder, at) WHERE dropped IS NULL;
CREATE INDEX version_path ON version (folder, path);
CREATE INDEX version_dropped ON version (folder) WHERE dropped IS NOT NULL;

-- Versions that the cloud once had, as far as we heard. The present ones stand with their items.
CREATE TABLE seen_version (
    folder   INTEGER NOT NULL,
    id       TEXT NOT NULL,                 -- the item
    version  TEXT NOT NULL,
    hash     TEXT,
    size     INTEGER,
    modified INTEGER,                       -- ms
    path     TEXT NOT NULL,                 -- where it was in the cloud
    at       INTEGER NOT NULL,              -- when it ceased to be the present one, ms
    PRIMARY KEY (folder, id, version)
) WITHOUT ROWID;
CREATE INDEX seen_version_path ON seen_version (folder, path);
CREATE INDEX seen_version_at ON seen_version (at);

-- Files that the cloud has and the disk is not to have, as long as the cloud has this version.
CREATE TABLE tombstone (
    node    INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder  INTEGER NOT NULL,
    version TEXT NOT NULL,
    reason  TEXT NOT NULL,                  -- expired, deleted
    at      INTEGER NOT NULL                -- ms
);

-- When files arrived on disk, in folders with `keep_for`.
CREATE TABLE arrival (
    node   INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder INTEGER NOT NULL,
    at     INTEGER NOT NULL                 -- ms
);
CREATE INDEX arrival_at ON arrival (folder, at);

-- How far the noting of arrivals has come in folders whose `keep_for` was set when files were already there (a node).
CREATE TABLE arrival_walk (
    folder INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    done   INTEGER NOT NULL DEFAULT 0
);
