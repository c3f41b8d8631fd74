-- What a person decided about a conflict, until it is carried out.
ALTER TABLE conflict ADD COLUMN decision TEXT;
