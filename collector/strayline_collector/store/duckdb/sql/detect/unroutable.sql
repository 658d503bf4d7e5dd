-- Publishes that the broker gave back, or that a complete topology leads nowhere, and that no
-- queue ever saw (docs/messages.md, section 5). `nowhere` (detect/nowhere.py) holds the exchanges
-- and keys, with times, that a complete actual topology routes to no queue; `alternates` those that it
-- routes to queues by an alternate exchange alone. By what is known of an incomplete one that is so
-- only of messages which were seen in those queues and in no other.
WITH RECURSIVE delayed AS (
    SELECT DISTINCT broker, vhost, name FROM topology_facts WHERE kind = 'exchange' AND type = 'x-delayed-message'
), lost AS MATERIALIZED (   -- few; what follows looks at their exchanges alone
    SELECT p.*, w.exchange IS NOT NULL AND p.outcome IS DISTINCT FROM 'returned' AS by_topology
    FROM publish_facts p
    LEFT JOIN nowhere w ON w.exchange = p.exchange AND w.routing_key = p.routing_key AND w.broker IS NOT DISTINCT FROM p.broker
        AND w.vhost IS NOT DISTINCT FROM p.vhost AND w.environment IS NOT DISTINCT FROM p.environment
        AND w.routing_headers IS NOT DISTINCT FROM p.routing_headers AND p.start_ns BETWEEN w.from_ns AND w.to_ns
    LEFT JOIN delayed x ON x.name = p.exchange AND x.broker IS NOT DISTINCT FROM p.broker AND x.vhost IS NOT DISTINCT FROM p.vhost
    ANTI JOIN delivery_facts d ON d.publish_trace_id = p.trace_id AND d.publish_span_id = p.span_id
    WHERE (p.outcome = 'returned' OR w.exchange IS NOT NULL)
      AND x.name IS NULL AND p.delay_ms IS NULL
      AND NOT starts_with(coalesce(p.routing_key, ''), 'amq.rabbitmq.reply-to')
      -- where it led, and whether it arrived, nobody saw while no collector listened
      AND (p.outcome = 'returned' OR NOT EXISTS (SELECT 1 FROM unheard u WHERE p.start_ns BETWEEN u.from_ns AND u.to_ns))
), queues AS (
    SELECT broker, vhost, name, bool_or(durable) AS durable FROM topology_facts
    WHERE kind = 'queue' AND action = 'declare' GROUP BY ALL
), by_headers AS (    -- where a message goes its headers decide, not its key
    SELECT DISTINCT broker, vhost, name FROM topology_facts WHERE kind = 'exchange' AND type = 'headers'
    UNION SELECT DISTINCT broker, vhost, exchange FROM lost WHERE exchange IN ('amq.headers', 'amq.match')
), arrivals AS (
    SELECT d.*,
        -- of a queue that nobody was seen to declare, a name of its own says that it is meant to last
        coalesce(q.durable, NOT regexp_matches(d.queue, '^(amq\.gen-|amq\.rabbitmq\.|\*)')) AS durable
    FROM (
        SELECT d.exchange, d.routing_key, d.broker, d.vhost, d.queue, CASE WHEN h.name IS NOT NULL THEN p.routing_headers END AS headers, min(d.received_ns) AS received_ns, count(*) AS deliveries
        FROM delivery_facts d
        LEFT JOIN by_headers h ON h.name = d.exchange AND h.broker IS NOT DISTINCT FROM d.broker AND h.vhost IS NOT DISTINCT FROM d.vhost
        -- null where headers do not decide: a condition of its own, beside the keys, would have every pair looked at
        LEFT JOIN publish_facts p ON p.trace_id = CASE WHEN h.name IS NOT NULL THEN d.publish_trace_id END AND p.span_id = d.publish_span_id
        WHERE d.queue IS NOT NULL AND d.death IS NULL AND d.exchange IN (SELECT exchange FROM lost) GROUP BY ALL
    ) d
    LEFT JOIN queues q ON q.name = d.queue AND q.broker IS NOT DISTINCT FROM d.broker AND q.vhost IS NOT DISTINCT FROM d.vhost
), durable_exchanges AS (   -- that a durable queue is bound to, if only by way of another exchange
    SELECT DISTINCT t.broker, t.vhost, t.source_name AS exchange
    FROM topology_facts t JOIN queues q ON q.name = t.destination AND q.durable AND q.broker IS NOT DISTINCT FROM t.broker AND q.vhost IS NOT DISTINCT FROM t.vhost
    WHERE t.kind = 'binding' AND t.action = 'bind' AND coalesce(t.destination_kind, 'queue') = 'queue'
    UNION
    SELECT DISTINCT broker, vhost, exchange FROM arrivals WHERE durable
    UNION
    SELECT t.broker, t.vhost, t.source_name
    FROM topology_facts t JOIN durable_exchanges e ON e.exchange = t.destination AND e.broker IS NOT DISTINCT FROM t.broker AND e.vhost IS NOT DISTINCT FROM t.vhost
    WHERE t.kind = 'binding' AND t.action = 'bind' AND t.destination_kind = 'exchange'
), keys AS (
    SELECT broker, vhost, exchange, routing_key, count(*) AS publishes FROM publish_facts WHERE exchange IN (SELECT exchange FROM lost) GROUP BY ALL
), reached AS (
    SELECT broker, vhost, exchange, routing_key, headers, min(received_ns) FILTER (WHERE durable) AS durable_ns, sum(deliveries)::BIGINT AS deliveries FROM arrivals GROUP BY ALL
), weighed AS (
    SELECT l.*, r.durable_ns, e.exchange IS NOT NULL AS durable_bound, k.publishes, coalesce(r.deliveries, 0) AS deliveries, i.exchange IS NOT NULL AS intended
    FROM lost l
    LEFT JOIN by_headers h ON h.name = l.exchange AND h.broker IS NOT DISTINCT FROM l.broker AND h.vhost IS NOT DISTINCT FROM l.vhost
    LEFT JOIN reached r ON r.exchange = l.exchange AND r.routing_key = l.routing_key AND r.broker IS NOT DISTINCT FROM l.broker AND r.vhost IS NOT DISTINCT FROM l.vhost
        AND r.headers IS NOT DISTINCT FROM CASE WHEN h.name IS NOT NULL THEN l.routing_headers END
    LEFT JOIN durable_exchanges e ON e.exchange = l.exchange AND e.broker IS NOT DISTINCT FROM l.broker AND e.vhost IS NOT DISTINCT FROM l.vhost
    LEFT JOIN keys k ON k.exchange = l.exchange AND k.routing_key = l.routing_key AND k.broker IS NOT DISTINCT FROM l.broker AND k.vhost IS NOT DISTINCT FROM l.vhost
    LEFT JOIN (SELECT DISTINCT broker, vhost, exchange, routing_key FROM named) i ON i.exchange = l.exchange AND i.routing_key = l.routing_key
        AND i.broker IS NOT DISTINCT FROM l.broker AND i.vhost IS NOT DISTINCT FROM l.vhost
), came AS (
    SELECT d.publish_trace_id, d.publish_span_id, list(DISTINCT d.queue) AS came_to, max(d.received_ns) AS last_ns, max(d.batch) AS seen_batch,
        list({consumer_span_id: d.span_id, trace_id: d.trace_id, delivery_tag: d.delivery_tag, redelivered: d.redelivered, settled: d.settlement, time_ns: d.received_ns}
            ORDER BY d.received_ns, d.delivery_tag, d.span_id)[:50] AS deliveries
    FROM delivery_facts d
    WHERE d.death IS NULL AND d.queue IS NOT NULL AND d.publish_span_id IS NOT NULL AND d.exchange IN (SELECT exchange FROM alternates)
    GROUP BY d.publish_trace_id, d.publish_span_id
), taken AS (
    SELECT p.*, a.queues, a.complete, c.last_ns, c.seen_batch, coalesce(c.deliveries, []) AS deliveries
    FROM publish_facts p
    JOIN alternates a ON a.exchange = p.exchange AND a.routing_key = p.routing_key AND a.broker IS NOT DISTINCT FROM p.broker AND a.vhost IS NOT DISTINCT FROM p.vhost
        AND a.environment IS NOT DISTINCT FROM p.environment AND a.routing_headers IS NOT DISTINCT FROM p.routing_headers AND p.start_ns BETWEEN a.from_ns AND a.to_ns
    LEFT JOIN came c ON c.publish_trace_id = p.trace_id AND c.publish_span_id = p.span_id
    WHERE p.outcome IS DISTINCT FROM 'returned' AND p.delay_ms IS NULL
      AND NOT EXISTS (SELECT 1 FROM unheard u WHERE p.start_ns BETWEEN CASE WHEN a.complete THEN u.from_ns ELSE u.doubt_ns END AND u.to_ns)
      AND (a.complete OR c.came_to IS NOT NULL) AND len(list_filter(coalesce(c.came_to, []), lambda q: NOT list_contains(a.queues, q))) = 0
    QUALIFY row_number() OVER (PARTITION BY p.trace_id, p.span_id ORDER BY a.complete DESC) = 1
)
SELECT 'all' AS key, 'unroutable' AS kind, NULL AS verdict, NULL AS cause,
    CASE
        -- headers and copies (CC) of what other SDKs publish nobody recorded
        WHEN source <> 'shim' THEN CASE WHEN durable_bound THEN 'warning' ELSE 'info' END
        WHEN intended OR durable_ns < start_ns THEN 'error'
        -- a reply to a requester that has left is no broken promise
        WHEN exchange = '' AND (starts_with(routing_key, 'amq.gen-') OR routing_key IN (SELECT reply_to FROM publish_facts)) THEN 'info'
        WHEN exchange = '' THEN 'error'
        WHEN publishes >= (SELECT silent_key_publishes FROM thresholds) AND deliveries = 0 THEN 'info'
        WHEN durable_bound THEN 'warning'
        ELSE 'info'
    END AS severity,
    CASE WHEN source = 'shim' THEN 'proven' ELSE 'inferred' END AS confidence, 'missing' AS role, message, trace_id, span_id AS producer_span_id, message_id, environment, broker, vhost,
    NULL AS queue, exchange, routing_key, service AS producer_service, NULL AS consumer_service,
    to_json({expected_queues: []::VARCHAR[], actual_queues: []::VARCHAR[], outcome: outcome, by_topology: by_topology, publishes_of_key: publishes,
        reached_before: durable_ns < start_ns, sequence: n, deliveries: []::VARCHAR[]}) AS evidence,
    start_ns AS event_ns, end_ns AS facts_until_ns, batch
FROM weighed
UNION ALL
SELECT 'all', 'unroutable', 'alternate', NULL, 'info', CASE WHEN complete AND source = 'shim' THEN 'proven' ELSE 'inferred' END, 'missing',
    message, trace_id, span_id, message_id, environment, broker, vhost, NULL, exchange, routing_key, service, NULL,
    to_json({expected_queues: []::VARCHAR[], actual_queues: queues, outcome: outcome, by_topology: true, sequence: n, deliveries: deliveries}),
    start_ns, greatest(end_ns, coalesce(last_ns, 0)), greatest(batch, coalesce(seen_batch, 0))
FROM taken;
