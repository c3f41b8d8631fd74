-- Something was told by a path, or by a name that is yet to be shown. By which is memory only: a process that finds this set when it begins has the
-- folder compared.
ALTER TABLE folder ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
