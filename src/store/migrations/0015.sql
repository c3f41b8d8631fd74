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
