-- A file of schema version 6 becomes one of version 7: long texts lie beside their rows, resources are known. Rows that
-- have some stay as they are.
ALTER TABLE spans ADD COLUMN shortened VARCHAR;
CREATE OR REPLACE VIEW distinct_spans AS
SELECT * FROM spans WHERE name NOT IN ('strayline.topology', 'strayline.census');
CREATE TABLE long_texts (
    batch BIGINT NOT NULL, n BIGINT NOT NULL, part INTEGER NOT NULL, text VARCHAR NOT NULL USING COMPRESSION zstd
);
CREATE TABLE resources (batch BIGINT NOT NULL, resource VARCHAR);
CREATE MACRO many_resources() AS (SELECT count(*) > 1000 FROM resources);
INSERT INTO resources
SELECT DISTINCT 0, CASE WHEN strlen(resource) <= 16384 THEN resource END FROM spans LIMIT 2000;
-- How far back a load's messages are told of.
ALTER TABLE loaded ADD COLUMN about_since BIGINT;
CREATE TABLE memories (detector VARCHAR NOT NULL, batch BIGINT NOT NULL, value BLOB NOT NULL);
UPDATE meta SET value = '7' WHERE key = 'schema_version';
