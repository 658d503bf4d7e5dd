-- A file of schema version 4 becomes one of version 5: directories, counts, minutes.
ALTER TABLE loaded ADD COLUMN spans BIGINT;
ALTER TABLE loaded ADD COLUMN traces BIGINT;
CREATE MACRO key_of(told) AS md5_number_lower(told);
CREATE TABLE trace_directory (trace_key UBIGINT NOT NULL, batch BIGINT NOT NULL);
CREATE TABLE message_directory (message_key UBIGINT NOT NULL, batch BIGINT NOT NULL);

-- Retried spans were kept until now.
DELETE FROM spans WHERE rowid IN (
    SELECT rowid FROM spans WHERE name NOT IN ('strayline.topology', 'strayline.census')
    QUALIFY row_number() OVER (PARTITION BY trace_id, span_id, kind ORDER BY batch, end_ns, name) > 1
);
CREATE OR REPLACE VIEW distinct_spans AS
SELECT * FROM spans WHERE name NOT IN ('strayline.topology', 'strayline.census');
INSERT INTO trace_directory
SELECT DISTINCT key_of(trace_id), batch FROM distinct_spans;
UPDATE loaded SET spans = n.spans, traces = n.traces
FROM (SELECT count(*) AS spans, count(DISTINCT trace_id) AS traces FROM distinct_spans) AS n;

-- When its last change came is not when a fact came: everything told of messages is as old as the file.
INSERT INTO message_directory
SELECT DISTINCT key_of(told), 0 FROM (
    SELECT message AS told FROM publish_facts UNION SELECT array_to_string(string_split(stamp, '.')[2:4], '.') FROM delivery_facts
    UNION SELECT trace_id FROM publish_facts UNION SELECT trace_id FROM delivery_facts UNION SELECT context_trace_id FROM delivery_facts
    UNION SELECT epoch || '/' || channel || '.' || delivery_tag FROM delivery_facts
    UNION SELECT trace_id FROM settlement_facts UNION SELECT trace_id || '/' || span_id FROM settlement_facts UNION SELECT trace_id FROM return_facts
) WHERE told IS NOT NULL;
CREATE TABLE rolled (batch BIGINT NOT NULL, spans BIGINT NOT NULL, loaded_ns BIGINT NOT NULL);
CREATE MACRO bucket_of(ns) AS CASE WHEN ns > 0 THEN floor(log2(ns) * 8)::SMALLINT ELSE -1::SMALLINT END;
CREATE TABLE call_minutes (
    batch BIGINT NOT NULL, minute BIGINT NOT NULL, source VARCHAR NOT NULL, target VARCHAR NOT NULL, external BOOLEAN NOT NULL,
    protocol VARCHAR NOT NULL, bucket SMALLINT NOT NULL, calls BIGINT NOT NULL, errors BIGINT NOT NULL
);
CREATE TABLE service_minutes (
    batch BIGINT NOT NULL, minute BIGINT NOT NULL, service VARCHAR NOT NULL, served BOOLEAN NOT NULL,
    bucket SMALLINT NOT NULL, spans BIGINT NOT NULL, errors BIGINT NOT NULL
);
CREATE TABLE frozen_findings (id VARCHAR NOT NULL);
UPDATE meta SET value = '5' WHERE key = 'schema_version';
