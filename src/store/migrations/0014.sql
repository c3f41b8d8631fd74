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
