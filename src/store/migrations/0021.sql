-- Whole directories that wait for a person: one row with the number of files in it, in place of a row for each of them. What is in such a
-- directory is not told that it is gone, so that it has no row in `sweep`; it gets that back when it leaves the list.
ALTER TABLE hold_item ADD COLUMN files INTEGER;                         -- null: a file by itself; 0: it is counted with one above it
CREATE INDEX hold_item_trees ON hold_item (hold, files) WHERE files IS NOT NULL;

-- A person rejected the removal of what is in a directory: it stays on disk, and leaves the books.
ALTER TABLE sweep ADD COLUMN stays INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sweep_stays ON sweep (folder) WHERE stays = 1;
