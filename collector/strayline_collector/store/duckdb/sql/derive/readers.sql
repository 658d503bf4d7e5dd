-- From which brokers messages came to readers of queues whose spans name none, as far as that is new: where
-- their publishes' spans name one, else the spans of their other deliveries.
WITH silent AS (
    SELECT environment, service, queue, publish_trace_id AS trace_id, publish_span_id AS span_id, batch FROM delivery_facts
    WHERE first_batch >= $since AND publish_span_id IS NOT NULL AND (broker IS NULL OR broker_inferred)
        AND queue IS NOT NULL AND NOT regexp_matches(queue, '^(amq\.|\*)')
), sent AS (
    SELECT s.*, CASE WHEN p.broker_inferred IS DISTINCT FROM true THEN p.broker END AS broker
    FROM silent s JOIN publish_facts p ON p.first_batch >= $since AND p.trace_id = s.trace_id AND p.span_id = s.span_id
)
SELECT DISTINCT environment, service, queue, broker FROM (
    SELECT environment, service, queue, broker FROM sent WHERE broker IS NOT NULL AND batch = $batch
    UNION ALL
    SELECT s.environment, s.service, s.queue, d.broker
    FROM sent s JOIN delivery_facts d ON d.first_batch >= $since AND d.publish_trace_id = s.trace_id AND d.publish_span_id = s.span_id
    WHERE s.broker IS NULL AND d.broker IS NOT NULL AND d.broker_inferred IS DISTINCT FROM true AND $batch IN (s.batch, d.batch)
)
EXCEPT SELECT environment, service, queue, broker FROM queue_readers;
