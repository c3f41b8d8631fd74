-- The directory whose scan was due first is found without sorting all that are due: after a restart that is every directory.
DROP INDEX local_scan_order;
DROP INDEX local_scan_due;
CREATE INDEX local_scan_due ON local_scan (folder, due, pos);
