-- A file of schema version 1 becomes one of version 2.
CREATE TABLE return_facts (batch BIGINT NOT NULL, trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL);
UPDATE meta SET value = '2' WHERE key = 'schema_version';
