-- Hooks: what is to be delivered, what was run, what was ruled, and what was rejected.

-- Deliveries of `after` hooks: written with the change that they tell of, kept until they are told and some time longer, so
-- that they can be told again.
CREATE TABLE delivery (
    delivery INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT NOT NULL UNIQUE,          -- the idempotency key
    hook     TEXT NOT NULL,
    chain    TEXT NOT NULL,                 -- deliveries of one chain to one hook keep their order: one file, mostly
    event    TEXT NOT NULL,
    folder   TEXT,
    path     TEXT,
    raw_path BLOB,                          -- the local path inside the folder, as its bytes are
    file     BLOB,                          -- where the content is on disk
    document TEXT NOT NULL,                 -- JSON
    depth    INTEGER NOT NULL,
    at       INTEGER NOT NULL,              -- ms
    due      INTEGER NOT NULL,              -- ms
    attempts INTEGER NOT NULL DEFAULT 0,
    state    INTEGER NOT NULL DEFAULT 0,    -- 0 to be told, 1 told, 2 dead
    why      TEXT                           -- why it is dead, or not yet told
);
CREATE INDEX delivery_due ON delivery (hook, due) WHERE state = 0;
CREATE INDEX delivery_chain ON delivery (hook, chain, delivery) WHERE state = 0;
CREATE INDEX delivery_at ON delivery (at);

-- Every run of a hook.
CREATE TABLE hook_run (
    run       INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery  INTEGER,                      -- of an `after` hook
    hook      TEXT NOT NULL,
    stage     TEXT NOT NULL,                -- before, after
    event     TEXT NOT NULL,
    folder    TEXT,
    path      TEXT,
    item      TEXT,
    sha256    BLOB,
    attempt   INTEGER NOT NULL,
    depth     INTEGER NOT NULL DEFAULT 0,
    at        INTEGER NOT NULL,             -- ms, when it ended
    took      INTEGER NOT NULL,             -- ms
    verdict   TEXT NOT NULL,
    exit_code INTEGER,
    signal    INTEGER,
    status    INTEGER,
    reason    TEXT,
    output    TEXT NOT NULL,
    output_cut INTEGER NOT NULL DEFAULT 0,
    effect    TEXT NOT NULL                 -- what followed: allowed, blocked, quarantined, delivered, again, dead
);
CREATE INDEX hook_run_at ON hook_run (at);
CREATE INDEX hook_run_path ON hook_run (folder, path) WHERE path IS NOT NULL;

-- Verdicts that are remembered, of content and of everything that they depend on.
CREATE TABLE verdict (
    sha256  BLOB NOT NULL,
    basis   TEXT NOT NULL,                  -- the hook's program, arguments and settings
    verdict TEXT NOT NULL,
    reason  TEXT,
    at      INTEGER NOT NULL,               -- ms
    PRIMARY KEY (sha256, basis)
) WITHOUT ROWID;
CREATE INDEX verdict_at ON verdict (at);

-- Versions that were rejected. While a row is here, the version is not fetched again.
CREATE TABLE quarantine (
    quarantine INTEGER PRIMARY KEY AUTOINCREMENT,
    folder   INTEGER NOT NULL,
    folder_name TEXT NOT NULL,
    item     TEXT NOT NULL,
    version  TEXT NOT NULL,
    path     TEXT NOT NULL,
    sha256   BLOB NOT NULL,
    size     INTEGER NOT NULL,
    hook     TEXT NOT NULL,
    verdict  TEXT NOT NULL,
    reason   TEXT NOT NULL,
    at       INTEGER NOT NULL,              -- ms
    state    TEXT NOT NULL,                 -- moving, held, released, deleted, expired
    decided  INTEGER,                       -- ms
    why      TEXT,                          -- the reason that a person gave
    expires  INTEGER,                       -- ms, when the content goes by itself
    UNIQUE (folder, item, version)
);
CREATE INDEX quarantine_expires ON quarantine (expires) WHERE expires IS NOT NULL;

-- Events of the journal that our own account made: what they tell may be the doing of a hook.
CREATE TABLE own_event (
    journal INTEGER PRIMARY KEY
);
