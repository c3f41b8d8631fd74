-- Two-way: what the disk has where it differs from what both agreed on, the scans that find it out, and our own writes to the cloud.

-- What the disk has of an item. Columns are filled only where the disk differs from the synced side, so that cost follows the changes.
ALTER TABLE item ADD COLUMN l INTEGER NOT NULL DEFAULT 0;    -- 0 as synced, 1 there but different, 2 not there
ALTER TABLE item ADD COLUMN away INTEGER NOT NULL DEFAULT 0; -- the disk does not have it where the synced side says
ALTER TABLE item ADD COLUMN l_parent INTEGER;                -- where it is, if it is elsewhere
ALTER TABLE item ADD COLUMN l_name BLOB;
ALTER TABLE item ADD COLUMN l_dev INTEGER;                   -- its stamp, if its content is (or may be) another one
ALTER TABLE item ADD COLUMN l_ino INTEGER;
ALTER TABLE item ADD COLUMN l_size INTEGER;
ALTER TABLE item ADD COLUMN l_mtime INTEGER;                 -- ns
ALTER TABLE item ADD COLUMN l_ctime INTEGER;                 -- ns
ALTER TABLE item ADD COLUMN l_sha256 BLOB;                   -- its digests, once it was read
ALTER TABLE item ADD COLUMN l_hash TEXT;
ALTER TABLE item ADD COLUMN l_at INTEGER;                    -- when that was first seen, ms

-- No two items of a folder share a place on disk: where the synced side says, or where a scan found them.
DROP INDEX item_seat;
CREATE UNIQUE INDEX item_seat ON item (s_parent, s_name) WHERE s = 1 AND away = 0 AND s_parent IS NOT NULL;
CREATE UNIQUE INDEX item_found ON item (l_parent, l_name) WHERE l_parent IS NOT NULL;
-- How a rename on disk is recognised: a file that is missing here, and one that is new there.
CREATE INDEX item_missing ON item (folder, ino) WHERE l = 2;
-- What the cloud has and the disk has not, by its place: the same may be made on disk.
CREATE INDEX item_unplaced ON item (r_parent, r_name) WHERE s = 0 AND r = 1;
CREATE INDEX item_new ON item (folder, l_ino) WHERE l = 1 AND l_ino IS NOT NULL;

-- Local directories to be scanned.
CREATE TABLE local_scan (
    node   INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder INTEGER NOT NULL,
    pos    INTEGER NOT NULL,
    due    INTEGER NOT NULL DEFAULT 0,      -- ms
    deep   INTEGER NOT NULL DEFAULT 0,      -- everything below as well
    attempts INTEGER NOT NULL DEFAULT 0,
    text   TEXT                             -- why it failed last
);
CREATE INDEX local_scan_order ON local_scan (folder, pos);

-- Directories that are missing on disk: what is in them is missing as well, a few thousand rows at a time.
CREATE TABLE vanished (
    node   INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder INTEGER NOT NULL
);

-- Writes to the cloud that were decided and whose outcome is not known: written before the call, so that after a crash or a lost
-- answer we look whether it happened.
CREATE TABLE sent (
    job    INTEGER PRIMARY KEY,
    node   INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    write  TEXT NOT NULL,                   -- JSON of what was sent
    unsure INTEGER NOT NULL DEFAULT 0,      -- no answer came: look before anything else
    session TEXT,                           -- a chunked upload that can go on
    at     INTEGER NOT NULL                 -- ms
);
CREATE INDEX sent_node ON sent (node);

-- Events that our own writes will cause, by identity: the item and the state that the write made of it.
CREATE TABLE echo (
    folder INTEGER NOT NULL,
    id     TEXT NOT NULL,
    state  TEXT NOT NULL,                   -- the version, the count of changes, or `gone`
    at     INTEGER NOT NULL,                -- ms
    PRIMARY KEY (folder, id, state)
) WITHOUT ROWID;

-- Items of which both sides had something to say, until a person looked at them.
CREATE TABLE conflict (
    conflict INTEGER PRIMARY KEY,
    folder INTEGER NOT NULL,
    node   INTEGER NOT NULL,                -- the item that kept the name
    copy   INTEGER NOT NULL,                -- the item of the conflict copy
    path   TEXT NOT NULL,
    kept   TEXT NOT NULL,                   -- the path of the copy
    reason TEXT NOT NULL,
    at     INTEGER NOT NULL                 -- ms
);
CREATE INDEX conflict_folder ON conflict (folder);

-- The mode that a folder's rows were made in, and how far its local scans are.
ALTER TABLE folder ADD COLUMN mode TEXT;
