-- Since when the scans of a directory fail: how long they are hoped for is a matter of time, however often somebody asks for them.
ALTER TABLE local_scan ADD COLUMN since INTEGER;
