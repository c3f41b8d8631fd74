-- A directory that went into the version store whole comes back whole: the stamps of the files in it say whether they are as they were.
ALTER TABLE kept_file ADD COLUMN ino INTEGER;                           -- null: it went there by itself
ALTER TABLE kept_file ADD COLUMN mtime INTEGER;                         -- ns
ALTER TABLE kept_file ADD COLUMN ctime INTEGER;                         -- ns
