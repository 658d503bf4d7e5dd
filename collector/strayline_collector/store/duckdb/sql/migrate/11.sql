-- A file of schema version 10 becomes one of version 11: calls that are rolled up from now on are known by
-- their own times, too; parts of minutes of earlier ones are read from spans.
CREATE TABLE call_starts (
    batch BIGINT NOT NULL, start_ns BIGINT NOT NULL, source VARCHAR NOT NULL, target VARCHAR NOT NULL, external BOOLEAN NOT NULL,
    protocol VARCHAR NOT NULL, bucket SMALLINT NOT NULL, calls BIGINT NOT NULL, errors BIGINT NOT NULL
);
CREATE TABLE calls_by_minute (batch BIGINT NOT NULL);
INSERT INTO calls_by_minute SELECT max(batch) FROM rolled HAVING max(batch) IS NOT NULL;
UPDATE meta SET value = '11' WHERE key = 'schema_version';
