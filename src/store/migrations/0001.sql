-- The first schema. Numbered files are never edited after a release; a change is a new file.

-- Small facts of the whole database.
--   next_job: the first job number that no engine has used; taken in blocks, so that a number never names two things.
CREATE TABLE fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One sign-in and its place in the event stream.
CREATE TABLE account (
    account   INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    provider  TEXT NOT NULL,
    user_id   TEXT,                         -- whose account it was when first seen; another one is a hold
    login     TEXT,
    stream    TEXT,                         -- which stream the cursor belongs to
    cursor    TEXT,                         -- opaque
    polled_at INTEGER,                      -- wall clock of the last good poll, ms
    relevant  INTEGER NOT NULL DEFAULT 0,   -- counts of events by what became of them
    foreigns  INTEGER NOT NULL DEFAULT 0,
    repeated  INTEGER NOT NULL DEFAULT 0,
    stale     INTEGER NOT NULL DEFAULT 0,
    own       INTEGER NOT NULL DEFAULT 0,
    day       INTEGER NOT NULL DEFAULT 0,   -- the UTC day that `spent` counts, in days since 1970
    spent     INTEGER NOT NULL DEFAULT 0    -- calls reserved on that day
);

-- One watched folder.
CREATE TABLE folder (
    folder      INTEGER PRIMARY KEY,
    name        TEXT UNIQUE,                -- null once its block left the configuration and its rows are being dropped
    account     INTEGER NOT NULL REFERENCES account (account),
    mark        TEXT NOT NULL,              -- what the marker file in the root must say
    remote      TEXT NOT NULL,              -- as configured; a change is a removal and an addition
    local       BLOB NOT NULL,              -- likewise
    filters     TEXT NOT NULL,              -- the patterns that the rows were made with
    root        INTEGER,                    -- the node of the remote root, once resolved
    opened      INTEGER NOT NULL DEFAULT 0, -- the local root was opened and marked once: from now on it must be there
    adopt       INTEGER NOT NULL DEFAULT 0, -- local files may already be there: compare before fetching
    paused      INTEGER NOT NULL DEFAULT 0,
    unverified  TEXT,                       -- why a full comparison is due, if it is
    scan        INTEGER NOT NULL DEFAULT 0, -- number of the latest full comparison
    scan_stage  TEXT,                       -- null, 'listing', 'settling' or 'absences'
    scan_at     INTEGER NOT NULL DEFAULT 0, -- how far the search for absences has come (a node)
    verified_at INTEGER,                    -- when a full comparison last ended, ms
    files       INTEGER NOT NULL DEFAULT 0, -- kept incrementally: what is on disk
    folders     INTEGER NOT NULL DEFAULT 0,
    bytes       INTEGER NOT NULL DEFAULT 0,
    removals    INTEGER NOT NULL DEFAULT 0  -- files that are on disk and gone from the cloud: what the brake looks at
);

-- One item of one folder: what the cloud has (r_) and what both agreed on and the disk holds (s_).
CREATE TABLE item (
    node      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: journal and caches remember items that are gone
    folder    INTEGER NOT NULL REFERENCES folder (folder),
    id        TEXT NOT NULL,                -- kind and provider id
    r         INTEGER NOT NULL DEFAULT 0,   -- 0 not in the cloud's folder, 1 there, 2 there but filtered out
    r_parent  INTEGER,
    r_name    TEXT,
    r_version TEXT,
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
    s_version TEXT,
    s_hash    TEXT,
    s_sha256  BLOB,
    s_size    INTEGER,
    dev       INTEGER,
    ino       INTEGER,
    size      INTEGER,
    mtime     INTEGER,                      -- ns
    ctime     INTEGER,                      -- ns
    UNIQUE (id, folder)
);
CREATE INDEX item_children ON item (r_parent) WHERE r_parent IS NOT NULL;
-- No two items of a folder share a place on disk; the database itself says so.
CREATE UNIQUE INDEX item_seat ON item (s_parent, s_name) WHERE s = 1 AND s_parent IS NOT NULL;

-- Items that need a decision or a deed. A row goes away when cloud and disk agree.
CREATE TABLE work (
    node     INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder   INTEGER NOT NULL,
    lane     INTEGER NOT NULL,              -- 0 news, 1 bulk (first sync, full comparison)
    pos      INTEGER NOT NULL,              -- order of arrival
    look     INTEGER NOT NULL DEFAULT 0,    -- ask the cloud for the item's state first: 1 yes, 2 after news of its trashing
    state    INTEGER NOT NULL DEFAULT 0,    -- 0 ready, 1 waits until `due`, 2 held
    approved INTEGER NOT NULL DEFAULT 0,    -- a person approved its removal
    due      INTEGER NOT NULL DEFAULT 0,    -- ms
    attempts INTEGER NOT NULL DEFAULT 0,
    code     TEXT,                          -- the problem, if there is one
    text     TEXT,
    since    INTEGER NOT NULL,              -- ms
    journal  INTEGER                        -- the event that asked for it
);
CREATE INDEX work_ready ON work (lane, pos) WHERE state = 0;
CREATE INDEX work_due ON work (due) WHERE state = 1;
CREATE INDEX work_folder ON work (folder);

-- Remote folders whose children are to be listed.
CREATE TABLE listing (
    node   INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder INTEGER NOT NULL,
    pos    INTEGER NOT NULL,
    due    INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    text   TEXT
);
CREATE INDEX listing_order ON listing (pos);
CREATE INDEX listing_due ON listing (due) WHERE due > 0;
CREATE INDEX listing_folder ON listing (folder);

-- Folders whose descendants must be told that they are gone (or filtered out): continued a few thousand rows at a time.
CREATE TABLE sweep (
    node   INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder INTEGER NOT NULL,
    r      INTEGER NOT NULL                 -- what becomes of the children's `r`
);
CREATE INDEX sweep_folder ON sweep (folder);

-- Deeds on disk that were decided and whose outcome is not yet recorded. Written before the deed, so that after a crash
-- the same deed is carried out again.
CREATE TABLE intent (
    job    INTEGER PRIMARY KEY,
    node   INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    deed   TEXT NOT NULL,                   -- JSON of the order
    seat   TEXT NOT NULL                    -- JSON of what the synced tree becomes when it is done
);

-- The journal of events that touched a folder, and what became of each. Also the memory of seen event ids.
CREATE TABLE event (
    journal  INTEGER PRIMARY KEY,
    account  INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    folder   INTEGER,
    node     INTEGER,
    item     TEXT,
    kind     TEXT NOT NULL,
    provider_kind TEXT NOT NULL,
    path     TEXT,
    actor    TEXT,
    at       INTEGER,                       -- ms, the provider's clock
    received INTEGER NOT NULL,              -- ms
    outcome  TEXT NOT NULL,
    took     INTEGER,                       -- ms
    raw      TEXT NOT NULL,
    UNIQUE (account, event_id)
);
CREATE INDEX event_node ON event (node) WHERE node IS NOT NULL;

-- Work that waits for a person, and the frozen list that an approval covers.
CREATE TABLE hold (
    hold   INTEGER PRIMARY KEY,
    folder INTEGER,
    account INTEGER,
    reason TEXT NOT NULL,
    text   TEXT NOT NULL,
    detail TEXT,                            -- what an approval accepts, where that is not a list of items
    since  INTEGER NOT NULL
);
CREATE TABLE hold_item (
    hold    INTEGER NOT NULL REFERENCES hold (hold) ON DELETE CASCADE,
    node    INTEGER NOT NULL REFERENCES item (node) ON DELETE CASCADE,
    version TEXT,
    PRIMARY KEY (hold, node)
) WITHOUT ROWID;
CREATE INDEX hold_item_node ON hold_item (node);

-- Files deleted from the disk since the last approval, by minute: the brake counts the last 24 hours.
CREATE TABLE deletion (
    folder INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    files  INTEGER NOT NULL,
    PRIMARY KEY (folder, minute)
) WITHOUT ROWID;

-- Content that left the visible tree and lies in the version store under the number of the job that moved it there.
CREATE TABLE version (
    job     INTEGER PRIMARY KEY,
    folder  INTEGER NOT NULL,
    id      TEXT NOT NULL,                  -- the item
    path    TEXT NOT NULL,
    reason  TEXT NOT NULL,                  -- superseded, deleted, edited
    version TEXT,                           -- the provider's version, unless it was edited
    sha256  BLOB,
    size    INTEGER NOT NULL,
    at      INTEGER NOT NULL                -- ms
);
CREATE INDEX version_item ON version (folder, id, at);

-- What was done on disk, for `agent activity` and for people who ask later.
CREATE TABLE action (
    action  INTEGER PRIMARY KEY,
    folder  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    path    TEXT NOT NULL,
    what    TEXT NOT NULL,
    journal INTEGER
);
CREATE INDEX action_at ON action (at);
