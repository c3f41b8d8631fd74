-- Marks carry generations: an answer clears only the marks that are not newer than its question.
-- `work.look` is from now on the generation of the newest mark on the item (0: none).
UPDATE work SET look = 1 WHERE look > 1;
CREATE INDEX work_look ON work (node) WHERE look > 0;
ALTER TABLE listing ADD COLUMN mark INTEGER NOT NULL DEFAULT 1; -- generation of the newest mark on the folder's children
-- An event named something below a folder that is not known here: one that is found to have moved here is listed with all below it.
ALTER TABLE listing ADD COLUMN deep INTEGER NOT NULL DEFAULT 0;

-- When the children of a remote folder were last seen whole, ms; the oldest is listed next.
CREATE TABLE observed (
    node   INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder INTEGER NOT NULL,
    at     INTEGER NOT NULL
);
CREATE INDEX observed_age ON observed (folder, at);
INSERT INTO observed (node, folder, at)
    SELECT item.node, item.folder, coalesce(folder.verified_at, 0) FROM item JOIN folder USING (folder)
    WHERE item.r = 1 AND item.id >= 'folder:' AND item.id < 'folder;' AND folder.name IS NOT NULL;

-- Events that could not be understood ask for a comparison: the generation of the newest such mark, and when the last comparison
-- that was made for one began.
ALTER TABLE folder ADD COLUMN doubt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folder ADD COLUMN doubt_at INTEGER NOT NULL DEFAULT 0;

-- The remote folders above a watched one, outermost first: what happens to them happens to it.
CREATE TABLE above (
    folder INTEGER NOT NULL,
    id     TEXT NOT NULL,
    PRIMARY KEY (folder, id)
) WITHOUT ROWID;
CREATE INDEX above_id ON above (id);

-- Paths that led to no place were guesses about order. What they may have meant is asked for.
UPDATE folder SET doubt = 1 WHERE folder IN (SELECT folder FROM unplaced);
DROP TABLE unplaced;


-- Listings are read lane by lane: bulk that waits for its share of the budget does not keep news out.
DROP INDEX listing_order;
CREATE INDEX listing_order ON listing (lane, pos) WHERE due = 0;
