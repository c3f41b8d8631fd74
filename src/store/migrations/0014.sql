-- What is due for examination is asked folder by folder and hook by hook: what cannot be examined now keeps nothing else waiting.
DROP INDEX examined_age;
DROP INDEX examined_due;
CREATE INDEX examined_age ON examined (folder, hook, at);
CREATE INDEX examined_signatures ON examined (folder, hook, signatures);
CREATE INDEX examined_due ON examined (folder, hook) WHERE at = 0;

-- What is still to be done with the cloud's copy of what is in quarantine (`trash`, `move:/path`), when, and how often it was tried.
ALTER TABLE quarantine ADD COLUMN disposal TEXT;
ALTER TABLE quarantine ADD COLUMN disposal_due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN disposal_tries INTEGER NOT NULL DEFAULT 0;
CREATE INDEX quarantine_disposal ON quarantine (disposal_due) WHERE disposal IS NOT NULL;

-- Staged files that wait for a hook that does not work: they are taken up again after a restart.
CREATE TABLE staged (
    node    INTEGER PRIMARY KEY REFERENCES item (node) ON DELETE CASCADE,
    folder  INTEGER NOT NULL,
    staged  TEXT NOT NULL,                  -- the file (JSON)
    content TEXT NOT NULL                   -- the version (JSON)
);
CREATE INDEX staged_folder ON staged (folder);
-- No question takes longer because the tree is larger.

-- Items that the disk does not have where both sides agreed on, by that place: a verification and a preview ask for them.
CREATE INDEX item_away ON item (s_parent) WHERE s = 1 AND away = 1;
-- The next scan that is due, and those that failed, are asked for at every step.
CREATE INDEX local_scan_due ON local_scan (folder, due);
CREATE INDEX local_scan_failed ON local_scan (folder) WHERE attempts > 0;
CREATE INDEX vanished_folder ON vanished (folder);
-- Deliveries that were given up are counted in every report.
CREATE INDEX delivery_dead ON delivery (hook) WHERE state = 2;
-- The page shows how many events came in each of the last hours.
CREATE INDEX event_received ON event (received);

-- Actions are written and dropped in the order of their numbers, which is that of their times.
DROP INDEX action_at;
