-- The journal holds every event of an account, also those that concern no folder: `folder` is null then, and `raw` is empty unless the
-- event is of a kind that we do not know or a subscription asks for it.
ALTER TABLE event ADD COLUMN own INTEGER NOT NULL DEFAULT 0;      -- recognised as our own deed
ALTER TABLE event ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;  -- how often it was told again
ALTER TABLE event ADD COLUMN actor_id TEXT;                       -- the provider's id of the acting user
CREATE INDEX event_folder ON event (journal) WHERE folder IS NOT NULL;

-- From when the time of local copies is counted: arrivals noted under another rule are noted anew.
ALTER TABLE arrival_walk ADD COLUMN basis TEXT NOT NULL DEFAULT 'arrival';

-- Durable consumers of the journal. Rows of `event` after a cursor are kept for it, at most `backlog` of them.
CREATE TABLE subscription (
    name      TEXT PRIMARY KEY,
    cursor    INTEGER NOT NULL,             -- the last entry of the journal that it is done with
    epoch     INTEGER NOT NULL DEFAULT 0,   -- rises with every replay: what was delivered before it does not move the cursor
    backlog   INTEGER NOT NULL,             -- entries kept for it at most
    blocks    INTEGER NOT NULL,             -- 1: the oldest are kept, and it takes nothing newer; 0: the newest are kept
    delivered INTEGER NOT NULL DEFAULT 0,
    lost      INTEGER NOT NULL DEFAULT 0,   -- entries that were not kept for it
    failures  INTEGER NOT NULL DEFAULT 0,   -- in a row
    reason    TEXT,                         -- of the last failure, while it lasts
    since     INTEGER,                      -- when the failures began, ms
    next_try  INTEGER,                      -- ms
    delivered_at INTEGER                    -- ms
) WITHOUT ROWID;
