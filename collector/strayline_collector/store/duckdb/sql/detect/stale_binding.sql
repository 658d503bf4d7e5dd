-- Messages that reached a queue only over a binding that nobody means to be there any more.
-- `strays` (detect/intended.py) holds, for each way into a queue, the times between which no
-- intended binding explains it although the queue's owner declared others.
SELECT s.key, 'misrouted' AS kind, 'stale_binding' AS verdict, NULL AS cause, s.severity, 'proven' AS confidence, 'strayed' AS role,
    d.message, p.trace_id, p.span_id AS producer_span_id, coalesce(p.message_id, d.message_id) AS message_id,
    d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, p.service AS producer_service, any_value(d.service) AS consumer_service,
    to_json({expected_queues: any_value(s.expected_queues), actual_queues: [d.queue], intended_bindings: any_value(s.intended_bindings),
        sequence: any_value(p.n),
        deliveries: list({consumer_span_id: d.span_id, trace_id: d.trace_id, delivery_tag: d.delivery_tag, redelivered: d.redelivered,
            settled: d.settlement, time_ns: d.received_ns} ORDER BY d.received_ns, d.span_id)}) AS evidence,
    min(d.received_ns) AS event_ns, max(coalesce(d.settled_ns, d.received_ns)) AS facts_until_ns, max(d.batch) AS batch
FROM strays s
JOIN delivery_facts d ON d.queue = s.queue AND d.exchange = s.exchange AND d.routing_key = s.routing_key
    AND d.broker IS NOT DISTINCT FROM s.broker AND d.vhost IS NOT DISTINCT FROM s.vhost AND d.environment IS NOT DISTINCT FROM s.environment
JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
    AND p.routing_headers IS NOT DISTINCT FROM s.routing_headers
WHERE d.death IS NULL AND p.start_ns BETWEEN s.from_ns AND s.to_ns
  AND p.exchange = d.exchange AND p.routing_key = d.routing_key
GROUP BY s.key, s.severity, d.message, p.trace_id, p.span_id, p.message_id, d.message_id, d.environment, d.broker, d.vhost, d.queue,
    d.exchange, d.routing_key, p.service;
