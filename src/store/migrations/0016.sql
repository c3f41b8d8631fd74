-- What the provider calls a kept content: where it shows one with the same digest and length again, the content is not downloaded.
ALTER TABLE version ADD COLUMN hash TEXT;
CREATE INDEX version_hash ON version (folder, hash) WHERE hash IS NOT NULL AND dropped IS NULL;
