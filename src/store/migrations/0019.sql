-- Directories in the version store: what goes there whole is one row of `version` with the number of its files, and its content is a
-- directory with them.
ALTER TABLE version ADD COLUMN files INTEGER;                           -- null: a content by itself
CREATE INDEX version_dirs ON version (folder, id) WHERE files IS NOT NULL;
CREATE INDEX version_dirs_dropped ON version (dropped) WHERE files IS NOT NULL AND dropped IS NOT NULL;
CREATE TABLE kept_file (
    job      INTEGER NOT NULL,              -- of the directory's row
    name     BLOB NOT NULL,                 -- on disk
    shown    TEXT,                          -- its name in the cloud, if that is another one
    id       BLOB NOT NULL,                 -- the item, as in its row
    version  BLOB NOT NULL,                 -- the provider's, as there
    hash     TEXT,
    sha256   BLOB,
    size     INTEGER NOT NULL,
    modified INTEGER,                       -- ms, as the cloud said
    PRIMARY KEY (job, name)
) WITHOUT ROWID;
