-- Deliveries without parent and without link, although their stamp names a publish of an
-- instrumented producer, which sends trace context with every message (docs/messages.md, section 5).
WITH orphans AS (
    SELECT d.*, d.trace_id || d.span_id AS key, array_to_string(string_split(d.stamp, '.')[2:4], '.') AS stamped
    FROM delivery_facts d SEMI JOIN touched ON touched.key = d.trace_id || d.span_id
    WHERE d.first_batch >= $from AND d.context_trace_id IS NULL AND d.stamp IS NOT NULL AND d.stamp_ok AND d.queue IS NOT NULL
)
SELECT o.key, 'context_lost' AS kind, NULL AS verdict, NULL AS cause, 'warning' AS severity, 'proven' AS confidence, 'orphan' AS role,
    p.message, p.trace_id, p.span_id AS producer_span_id, coalesce(o.message_id, p.message_id) AS message_id, o.environment, o.broker, o.vhost, o.queue,
    p.exchange, p.routing_key, p.service AS producer_service, o.service AS consumer_service,
    to_json({sequence: p.n, deliveries: [{consumer_span_id: o.span_id, trace_id: o.trace_id, delivery_tag: o.delivery_tag, redelivered: o.redelivered,
        settled: o.settlement, time_ns: o.received_ns}]}) AS evidence,
    o.received_ns AS event_ns, greatest(o.received_ns, p.end_ns) AS facts_until_ns, greatest(o.batch, p.batch) AS batch
FROM orphans o JOIN publish_facts p ON p.message = o.stamped
-- the copy that a program published again is its own message, whose context nobody knows
WHERE p.exchange IS NOT DISTINCT FROM o.exchange OR o.death IS NOT NULL;
