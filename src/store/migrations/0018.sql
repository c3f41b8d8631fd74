-- A row of a file takes a third less room.

-- Ids and versions that are numbers or UUIDs stand in bytes. What the cloud has of an item stands once where it is what both sides agreed
-- on: x'' in a column of the cloud's side means "as the synced side says", and in `s_size` "as long as the stamp says".
CREATE TABLE item_packed (
    node      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: journal and caches remember items that are gone
    folder    INTEGER NOT NULL REFERENCES folder (folder),
    id        BLOB NOT NULL,                -- kind and form (1 number, 2 UUID, 3 text; 16 more for folders), and the provider's id
    r         INTEGER NOT NULL DEFAULT 0,   -- 0 not in the cloud's folder, 1 there, 2 there but filtered out
    r_parent  INTEGER,
    r_name    TEXT,
    r_version BLOB,                         -- a number, the bytes of a UUID, or text
    r_hash    TEXT,
    r_size    INTEGER,
    r_mtime   INTEGER,                      -- ms
    r_etag    TEXT,
    r_seq     INTEGER,
    seen      INTEGER NOT NULL DEFAULT 0,   -- twice the number of the full comparison that last met it; odd if it was seen itself
    s         INTEGER NOT NULL DEFAULT 0,   -- 0 not on disk, 1 in the tree, 2 parked
    s_parent  INTEGER,
    s_name    BLOB,
    s_job     INTEGER,                      -- the job that parked it
    s_version BLOB,
    s_hash    TEXT,
    s_sha256  BLOB,
    s_size    INTEGER,
    dev       INTEGER,
    ino       INTEGER,
    size      INTEGER,
    mtime     INTEGER,                      -- ns
    ctime     INTEGER,                      -- ns
    l         INTEGER NOT NULL DEFAULT 0,   -- 0 as synced, 1 there but different, 2 not there
    away      INTEGER NOT NULL DEFAULT 0,   -- the disk does not have it where the synced side says
    l_parent  INTEGER,                      -- where it is, if it is elsewhere
    l_name    BLOB,
    l_dev     INTEGER,                      -- its stamp, if its content is (or may be) another one
    l_ino     INTEGER,
    l_size    INTEGER,
    l_mtime   INTEGER,                      -- ns
    l_ctime   INTEGER,                      -- ns
    l_sha256  BLOB,                         -- its digests, once it was read
    l_hash    TEXT,
    l_at      INTEGER                       -- when that was first seen, ms
);
INSERT INTO item_packed (node, folder, id, r, r_parent, r_name, r_version, r_hash, r_size, r_mtime, r_etag, r_seq, seen, s, s_parent, s_name,
                         s_job, s_version, s_hash, s_sha256, s_size, dev, ino, size, mtime, ctime, l, away, l_parent, l_name, l_dev, l_ino,
                         l_size, l_mtime, l_ctime, l_sha256, l_hash, l_at)
    SELECT node, folder,
           unhex(printf('%02x', is_folder * 16 + form)
                 || CASE form WHEN 1 THEN iif(length(printf('%x', raw)) % 2, '0', '') || printf('%x', raw)
                              WHEN 2 THEN replace(raw, '-', '') ELSE hex(raw) END),
           r, r_parent, iif(CAST(r_name AS BLOB) = s_name, x'', r_name),
           CASE WHEN r_version = s_version THEN x''
                WHEN r_version NOT GLOB '*[^0-9]*' AND length(r_version) BETWEEN 1 AND 18 AND (r_version = '0' OR r_version NOT GLOB '0*')
                     THEN CAST(r_version AS INTEGER)
                WHEN length(r_version) = 36 AND r_version GLOB '????????-????-????-????-????????????'
                     AND length(replace(r_version, '-', '')) = 32 AND replace(r_version, '-', '') NOT GLOB '*[^0-9a-f]*'
                     THEN unhex(replace(r_version, '-', ''))
                ELSE r_version END,
           iif(r_hash = s_hash, x'', r_hash), iif(r_size = size, x'', r_size), iif(r_mtime * 1000000 = mtime, x'', r_mtime), r_etag, r_seq,
           seen, s, s_parent, s_name, s_job,
           CASE WHEN s_version NOT GLOB '*[^0-9]*' AND length(s_version) BETWEEN 1 AND 18 AND (s_version = '0' OR s_version NOT GLOB '0*')
                     THEN CAST(s_version AS INTEGER)
                WHEN length(s_version) = 36 AND s_version GLOB '????????-????-????-????-????????????'
                     AND length(replace(s_version, '-', '')) = 32 AND replace(s_version, '-', '') NOT GLOB '*[^0-9a-f]*'
                     THEN unhex(replace(s_version, '-', ''))
                ELSE s_version END,
           s_hash, s_sha256, iif(s_size = size, x'', s_size), dev, ino, size, mtime, ctime, l, away, l_parent, l_name, l_dev, l_ino, l_size,
           l_mtime, l_ctime, l_sha256, l_hash, l_at
    FROM (SELECT *, CASE WHEN raw NOT GLOB '*[^0-9]*' AND length(raw) BETWEEN 1 AND 18 AND (raw = '0' OR raw NOT GLOB '0*') THEN 1
                         WHEN length(raw) = 36 AND raw GLOB '????????-????-????-????-????????????'
                              AND length(replace(raw, '-', '')) = 32 AND replace(raw, '-', '') NOT GLOB '*[^0-9a-f]*' THEN 2
                         ELSE 3 END AS form
          FROM (SELECT *, substr(id, 1, 7) = 'folder:' AS is_folder, substr(id, instr(id, ':') + 1) AS raw FROM item));
-- Numbers of rows go on from where they were, also behind rows that are gone.
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'item_packed', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'item_packed');
UPDATE sqlite_sequence SET seq = coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name IN ('item', 'item_packed')), 0)
    WHERE name = 'item_packed';
DROP TABLE item;
ALTER TABLE item_packed RENAME TO item;
CREATE UNIQUE INDEX item_id ON item (id, folder);
CREATE INDEX item_children ON item (r_parent) WHERE r_parent IS NOT NULL;
-- No two items of a folder share a place on disk: where the synced side says, or where a scan found them.
CREATE UNIQUE INDEX item_seat ON item (s_parent, s_name) WHERE s = 1 AND away = 0 AND s_parent IS NOT NULL;
CREATE UNIQUE INDEX item_found ON item (l_parent, l_name) WHERE l_parent IS NOT NULL;
-- How a rename on disk is recognised: a file that is missing here, and one that is new there.
CREATE INDEX item_missing ON item (folder, ino) WHERE l = 2;
CREATE INDEX item_new ON item (folder, l_ino) WHERE l = 1 AND l_ino IS NOT NULL;
-- What the cloud has and the disk has not, by its place: the same may be made on disk.
CREATE INDEX item_unplaced ON item (r_parent, r_name) WHERE s = 0 AND r = 1;
-- A file that was copied elsewhere and removed is recognised by its content: the missing ones by that, the new ones by their length.
CREATE INDEX item_gone_content ON item (folder, s_sha256) WHERE l = 2;
CREATE INDEX item_new_length ON item (folder, l_size) WHERE l = 1 AND s = 0 AND r = 0;
-- What is out of sight for a moment.
CREATE INDEX item_parked ON item (folder) WHERE s = 2;
-- Items that the disk does not have where both sides agreed on, by that place: a verification and a preview ask for them.
CREATE INDEX item_away ON item (s_parent) WHERE s = 1 AND away = 1;

-- Since when a file is in its folder is asked by its row; what was written down before has none, and is asked by its path.
ALTER TABLE action ADD COLUMN node INTEGER;
DROP INDEX action_path;
CREATE INDEX action_node ON action (node) WHERE node IS NOT NULL;
CREATE INDEX action_before ON action (folder, path) WHERE node IS NULL;
