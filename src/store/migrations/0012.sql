-- What was examined by which `before` hook: the content on disk of an item is known to have been allowed by it.
CREATE TABLE examined (
    node       INTEGER NOT NULL REFERENCES item (node) ON DELETE CASCADE,
    hook       TEXT NOT NULL,
    folder     INTEGER NOT NULL,
    basis      BLOB NOT NULL,                  -- digest of the hook's call and settings
    sha256     BLOB NOT NULL,                  -- the content
    signatures TEXT,                           -- what the scanner said of its signatures
    at         INTEGER NOT NULL,               -- ms; 0: it is to be examined before its directory gets another name
    PRIMARY KEY (node, hook)
) WITHOUT ROWID;
CREATE INDEX examined_age ON examined (hook, at);
CREATE INDEX examined_due ON examined (folder) WHERE at = 0;

-- How far the look has come for what a hook never examined (a node), and for which basis.
CREATE TABLE examining (
    hook   TEXT NOT NULL,
    folder INTEGER NOT NULL,
    basis  BLOB NOT NULL,
    after  INTEGER NOT NULL,                   -- the last node that was looked at
    since  INTEGER NOT NULL DEFAULT 0,         -- ms; what was allowed before is looked at again
    done   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hook, folder)
) WITHOUT ROWID;

-- What was found in the folder after it had been allowed: since when it was there, who brought it, and who was told of it.
ALTER TABLE quarantine ADD COLUMN since INTEGER;
ALTER TABLE quarantine ADD COLUMN actor TEXT;
ALTER TABLE quarantine ADD COLUMN reached TEXT;
CREATE INDEX quarantine_content ON quarantine (sha256);

-- The headers of a server's answer.
ALTER TABLE hook_run ADD COLUMN headers TEXT;
CREATE INDEX hook_run_hook ON hook_run (hook, at);

-- What waits for a scanner goes on in its order.
DROP INDEX work_due;
CREATE INDEX work_due ON work (due, pos) WHERE state = 1;
