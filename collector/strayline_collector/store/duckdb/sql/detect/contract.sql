-- Messages that went where no contract lets them (docs/messages.md, section 5). `breaches`
-- (detect/contract.py) holds the ways into queues that break it.
WITH ways AS (
    SELECT d.*, p.trace_id AS p_trace_id, p.span_id AS p_span_id, p.message_id AS p_message_id, p.n,
        coalesce(p.exchange, d.exchange) AS sent_exchange, coalesce(p.routing_key, d.routing_key) AS sent_key,
        p.type, p.operation, coalesce(p.source, 'spans') AS p_source, p.service AS producer_service, p.end_ns AS p_end_ns, p.batch AS p_batch
    FROM delivery_facts d
    LEFT JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
    WHERE d.death IS NULL AND d.message IS NOT NULL
)
SELECT b.key, 'misrouted' AS kind, 'contract' AS verdict, NULL AS cause, 'error' AS severity, 'proven' AS confidence, 'strayed' AS role,
    w.message, w.p_trace_id AS trace_id, w.p_span_id AS producer_span_id, coalesce(w.p_message_id, min(w.message_id)) AS message_id,
    w.environment, w.broker, w.vhost, w.queue, w.sent_exchange AS exchange, w.sent_key AS routing_key, w.producer_service,
    min(w.service) AS consumer_service,
    to_json({rule: min_by(b.rule, w.received_ns), contract_message: min_by(b.contract_message, w.received_ns), nearest: min_by(b.nearest, w.received_ns),
        expected_queues: min_by(b.expected_queues, w.received_ns), actual_queues: [w.queue], expected_keys: min_by(b.expected_keys, w.received_ns),
        expected_services: min_by(b.expected_services, w.received_ns), queue_messages: min_by(b.queue_messages, w.received_ns),
        type: any_value(w.type), sequence: any_value(w.n),
        deliveries: list({consumer_span_id: w.span_id, trace_id: w.trace_id, delivery_tag: w.delivery_tag, redelivered: w.redelivered,
            settled: w.settlement, time_ns: w.received_ns} ORDER BY w.received_ns, w.span_id)}) AS evidence,
    min(w.received_ns) AS event_ns, greatest(max(coalesce(w.settled_ns, w.received_ns)), coalesce(any_value(w.p_end_ns), 0)) AS facts_until_ns,
    greatest(max(w.batch), coalesce(max(w.p_batch), 0)) AS batch
FROM breaches b
JOIN ways w ON w.queue = b.queue AND w.sent_exchange = b.exchange AND w.sent_key = b.routing_key
    AND w.environment IS NOT DISTINCT FROM b.environment AND w.broker IS NOT DISTINCT FROM b.broker AND w.vhost IS NOT DISTINCT FROM b.vhost
    AND w.type IS NOT DISTINCT FROM b.type AND w.operation IS NOT DISTINCT FROM b.operation AND w.p_source = b.source
    AND w.producer_service IS NOT DISTINCT FROM b.producer_service AND w.service IS NOT DISTINCT FROM b.consumer_service
GROUP BY b.key, w.message, w.p_trace_id, w.p_span_id, w.p_message_id, w.environment, w.broker, w.vhost, w.queue, w.sent_exchange, w.sent_key,
    w.producer_service;
