-- An event is written down behind those that were written before, whatever its name is: names are random, and an index in their order
-- touched a page of its own for almost every event of other people's folders. Those that were told lately are remembered.
DROP INDEX event_node;
DROP INDEX event_folder;
DROP INDEX event_received;
ALTER TABLE event RENAME TO event_before;
CREATE TABLE event (
    journal  INTEGER PRIMARY KEY,
    account  INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    folder   INTEGER,                          -- null: it concerns none
    node     INTEGER,
    item     TEXT,
    kind     TEXT NOT NULL,
    provider_kind TEXT NOT NULL,
    path     TEXT,
    actor    TEXT,
    at       INTEGER,                          -- ms, the provider's clock
    received INTEGER NOT NULL,                 -- ms
    outcome  TEXT NOT NULL,
    took     INTEGER,                          -- ms
    raw      TEXT NOT NULL,
    own      INTEGER NOT NULL DEFAULT 0,       -- recognised as our own deed
    repeats  INTEGER NOT NULL DEFAULT 0,       -- how often it was told again
    actor_id TEXT                              -- the provider's id of the acting user
);
INSERT INTO event SELECT journal, account, event_id, folder, node, item, kind, provider_kind, path, actor, at, received, outcome, took, raw,
                         own, repeats, actor_id FROM event_before;
DROP TABLE event_before;
-- What concerned a folder is not applied twice.
CREATE UNIQUE INDEX event_applied ON event (account, event_id) WHERE folder IS NOT NULL;
CREATE INDEX event_node ON event (node) WHERE node IS NOT NULL;
CREATE INDEX event_folder ON event (journal) WHERE folder IS NOT NULL;
CREATE INDEX event_received ON event (received);

-- Entries of local directories that are never sent: symbolic links, pipes, sockets and devices, and what is mounted. Directories that
-- have none have no row.
CREATE TABLE left_out (
    node    INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,   -- the directory
    folder  INTEGER NOT NULL,
    links   INTEGER NOT NULL,
    special INTEGER NOT NULL,
    mounts  INTEGER NOT NULL,
    example BLOB NOT NULL                                                   -- the name of the first of them
);
CREATE INDEX left_out_folder ON left_out (folder);

-- Who is behind a number in a provider's events, as far as somebody has looked and the provider told.
CREATE TABLE person (
    account INTEGER NOT NULL REFERENCES account (account) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    name    TEXT,                           -- nothing: the provider does not tell
    at      INTEGER NOT NULL,               -- when it was asked
    PRIMARY KEY (account, user_id)
) WITHOUT ROWID;
