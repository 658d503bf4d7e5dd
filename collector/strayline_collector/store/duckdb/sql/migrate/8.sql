-- A file of schema version 7 becomes one of version 8: how far back a load's messages are told of.
ALTER TABLE loaded ADD COLUMN about_since BIGINT;

UPDATE meta SET value = '8' WHERE key = 'schema_version';
