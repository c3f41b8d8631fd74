-- Items that events named by nothing but an id that no folder knows: each is looked at once. `mark` is the generation of the newest event.
CREATE TABLE stray (
    account INTEGER NOT NULL,
    id      TEXT NOT NULL,
    mark    INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
