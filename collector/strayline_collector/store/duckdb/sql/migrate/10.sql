-- A file of schema version 9 becomes one of version 10: the client's spans beside those of Spring's listeners.
CREATE TABLE handover_facts (
    batch BIGINT NOT NULL,
    first_batch BIGINT NOT NULL,
    service VARCHAR NOT NULL, instance VARCHAR, trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL,
    context_trace_id VARCHAR, context_span_id VARCHAR,
    queue VARCHAR, exchange VARCHAR, routing_key VARCHAR, received_ns BIGINT NOT NULL
);
UPDATE meta SET value = '10' WHERE key = 'schema_version';
