-- A file that was copied elsewhere and removed is recognised by its content: the missing ones by that, the new ones by their length.
CREATE INDEX item_gone_content ON item (folder, s_sha256) WHERE l = 2;
CREATE INDEX item_new_length ON item (folder, l_size) WHERE l = 1 AND s = 0 AND r = 0;
-- What is out of sight for a moment.
CREATE INDEX item_parked ON item (folder) WHERE s = 2;
