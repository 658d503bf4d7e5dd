-- A file of schema version 2 becomes one of version 3. What it holds keeps its order of loads, as
-- far as that is still known: a fact's first load is at most its last.
ALTER TABLE publish_facts ADD COLUMN first_batch BIGINT;
UPDATE publish_facts SET first_batch = batch;
ALTER TABLE delivery_facts ADD COLUMN first_batch BIGINT;
UPDATE delivery_facts SET first_batch = batch;
CREATE TABLE open_operations (
    trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL, awaited_span_id VARCHAR NOT NULL,
    first_batch BIGINT NOT NULL, since_batch BIGINT NOT NULL
);
UPDATE meta SET value = '3' WHERE key = 'schema_version';
