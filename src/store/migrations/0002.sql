-- Budgets, and providers that name paths.

-- Of the calls reserved on the day, those for comparisons of verified folders.
ALTER TABLE account ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;

-- The watched folder's whole path in the cloud as last seen, where the provider names paths.
ALTER TABLE folder ADD COLUMN root_path TEXT;
-- What the cloud says that the folder holds in all, for the forecast of a long first sync.
ALTER TABLE folder ADD COLUMN whole_files INTEGER;
ALTER TABLE folder ADD COLUMN whole_folders INTEGER;
ALTER TABLE folder ADD COLUMN whole_bytes INTEGER;

-- Folders that events named by a path which we cannot place yet. `after` is the newest node at that moment: what is found there later and is
-- newer was listed since.
CREATE TABLE unplaced (
    folder INTEGER NOT NULL,
    path   TEXT NOT NULL,
    after  INTEGER NOT NULL,
    PRIMARY KEY (folder, path)
) WITHOUT ROWID;

-- 0 news of the stream asked for it, 1 a first sync or a full comparison.
ALTER TABLE listing ADD COLUMN lane INTEGER NOT NULL DEFAULT 1;
