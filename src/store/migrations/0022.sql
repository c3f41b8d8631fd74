-- Something was told by a path through folders that are not known yet, or whose own place is asked about. The paths are memory only: a process that
-- finds this set when it begins has the folder compared.
ALTER TABLE folder ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
