-- The names that folders had until lately, where events tell of items by paths: one that comes late is told by a path of before.
CREATE TABLE former_name (
    pos   INTEGER PRIMARY KEY,                 -- the order in which they were given up
    dir   INTEGER NOT NULL REFERENCES item (node) ON DELETE CASCADE,   -- the folder that it was in
    name  TEXT NOT NULL,
    node  INTEGER NOT NULL REFERENCES item (node) ON DELETE CASCADE,   -- the folder that had it
    until INTEGER NOT NULL                     -- ms, when it was observed to have it no more
);
CREATE INDEX former_name_dir ON former_name (dir);
CREATE INDEX former_name_node ON former_name (node);
