-- Deliveries without parent and without link that bear no stamp, whose ids name the one publish that they
-- can be of (docs/messages.md, section 5): its message id, where its producer's ids tell messages
-- apart; else its correlation id, exchange and key.
WITH orphans AS MATERIALIZED (
    SELECT d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, d.service, d.message_id, d.correlation_id, d.trace_id, d.span_id,
        d.delivery_tag, d.redelivered, d.settlement, d.received_ns, d.batch
    FROM delivery_facts d
    WHERE d.context_trace_id IS NULL AND d.stamp IS NULL AND d.message IS NULL AND d.handled_end_ns IS NOT NULL AND d.death IS NULL
      AND (d.message_id IS NOT NULL OR d.correlation_id IS NOT NULL)
      AND NOT coalesce(starts_with(coalesce(d.queue, d.routing_key), 'amq.rabbitmq.reply-to'), false)
      -- the handling of a batch has several links
      AND NOT EXISTS (SELECT 1 FROM span_links l WHERE l.trace_id = d.trace_id AND l.span_id = d.span_id)
), sent AS MATERIALIZED (
    SELECT * FROM publish_facts
    WHERE (message_id IN (SELECT message_id FROM orphans) OR correlation_id IN (SELECT correlation_id FROM orphans))
      AND outcome IS DISTINCT FROM 'returned' AND outcome IS DISTINCT FROM 'rolled_back'
), telling AS (      -- an id that a producer gives to many messages tells none of them from another
    SELECT environment, service FROM publish_facts WHERE message_id IS NOT NULL AND service IN (SELECT service FROM sent)
    GROUP BY ALL HAVING count(DISTINCT message_id) >= 0.8 * count(*)
), by_id AS (
    SELECT o.trace_id AS orphan_trace_id, o.span_id AS orphan_span_id, p.message
    FROM orphans o JOIN sent p ON p.message_id = o.message_id AND p.environment IS NOT DISTINCT FROM o.environment
    SEMI JOIN telling t ON t.service = p.service AND t.environment IS NOT DISTINCT FROM p.environment
    QUALIFY count(*) OVER (PARTITION BY o.trace_id, o.span_id) = 1
), by_conversation AS (
    SELECT o.trace_id AS orphan_trace_id, o.span_id AS orphan_span_id, p.message
    FROM orphans o JOIN sent p ON p.correlation_id = o.correlation_id AND p.exchange = o.exchange AND p.routing_key = o.routing_key
        AND p.environment IS NOT DISTINCT FROM o.environment
    WHERE o.message_id IS NULL OR p.message_id IS NULL
    QUALIFY count(*) OVER (PARTITION BY o.trace_id, o.span_id) = 1
), matched AS (
    SELECT * FROM by_id UNION SELECT * FROM by_conversation c
    WHERE NOT EXISTS (SELECT 1 FROM by_id i WHERE i.orphan_trace_id = c.orphan_trace_id AND i.orphan_span_id = c.orphan_span_id)
)
SELECT 'all' AS key, 'context_lost' AS kind, NULL AS verdict, NULL AS cause, 'warning' AS severity, 'inferred' AS confidence, 'orphan' AS role,
    p.message, p.trace_id, p.span_id AS producer_span_id, coalesce(p.message_id, o.message_id) AS message_id, o.environment, coalesce(o.broker, p.broker) AS broker,
    coalesce(o.vhost, p.vhost) AS vhost, o.queue, p.exchange, p.routing_key, p.service AS producer_service, o.service AS consumer_service,
    to_json({sequence: p.n, deliveries: [{consumer_span_id: o.span_id, trace_id: o.trace_id, delivery_tag: o.delivery_tag, redelivered: o.redelivered,
        settled: o.settlement, time_ns: o.received_ns}]}) AS evidence,
    o.received_ns AS event_ns, greatest(o.received_ns, p.end_ns) AS facts_until_ns, greatest(o.batch, p.batch) AS batch
FROM matched m
JOIN orphans o ON o.trace_id = m.orphan_trace_id AND o.span_id = m.orphan_span_id
JOIN sent p ON p.message = m.message
-- somebody's copy under the same id is a message of its own, whose context nobody knows
WHERE NOT EXISTS (SELECT 1 FROM unheard u WHERE o.received_ns BETWEEN u.from_ns AND u.to_ns)
  AND (o.exchange IS NULL OR o.exchange = p.exchange) AND (o.routing_key IS NULL OR o.routing_key = p.routing_key)
  AND (o.vhost IS NULL OR p.vhost IS NULL OR o.vhost = p.vhost) AND o.received_ns >= p.start_ns - 60000000000
  -- another span of the same service continues the trace: this one is an instrumentation's second
  AND NOT EXISTS (SELECT 1 FROM delivery_facts d WHERE d.publish_trace_id = p.trace_id AND d.publish_span_id = p.span_id AND d.service = o.service)
QUALIFY row_number() OVER (PARTITION BY p.message, o.queue ORDER BY o.received_ns, o.span_id) = 1;
