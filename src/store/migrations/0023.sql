-- The unknown item that is told to have an expected name: what has the name in the folder may be another one.
ALTER TABLE expected_name ADD COLUMN item TEXT;
