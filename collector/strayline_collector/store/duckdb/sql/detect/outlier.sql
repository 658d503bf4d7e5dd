-- Messages published unlike their kind (docs/messages.md, section 5).
--
-- A kind: one producer service and AMQP `type`; where no type is set, the producer's operation.
-- Of at least 30 operations (or messages) of the kind at least 90 % published K1 = exchange/key,
-- at most 10 % K2, and this one K2 without K1. All four numbers are `thresholds`.
-- `misrouted: outlier`  K2 is other kinds' (>= 90 % of its messages), and the message was delivered there, or nobody
--                       is ever seen to take K2: that hop is silent, and where it ended is not known.
-- `unroutable`          K2 is the kind's own and was never delivered anywhere, while K1 was (no broker's word needed).
WITH reply_names AS (    -- an answer goes to whoever asked, which is nobody's habit
    SELECT DISTINCT reply_to AS name FROM publish_facts WHERE reply_to IS NOT NULL
), ways AS (    -- what each kind publishes; most kinds go one way only, and nothing is odd there
    SELECT any_value(environment) AS environment, any_value(exchange) AS exchange, any_value(routing_key) AS routing_key,
        message_kind, count(*) AS messages
    FROM (
        SELECT environment, exchange, routing_key, hash(environment, service, type IS NULL, coalesce(type, operation)) AS message_kind
        FROM publish_facts CROSS JOIN thresholds
        WHERE start_ns >= (SELECT max(start_ns) FROM publish_facts) - (population_h * 3600e9)::BIGINT
          AND exchange IS NOT NULL AND routing_key IS NOT NULL
          AND NOT starts_with(routing_key, 'amq.rabbitmq.reply-to') AND NOT starts_with(routing_key, 'amq.gen-')
          AND NOT (exchange = '' AND routing_key IN (SELECT name FROM reply_names))
    )
    GROUP BY message_kind, hash(exchange, routing_key, reverse(routing_key))
), several AS (
    SELECT message_kind FROM ways GROUP BY message_kind HAVING count(*) > 1 AND sum(messages) >= (SELECT outlier_kind_size FROM thresholds)
), pubs AS (
    SELECT *, hash(trace_id, CASE WHEN type IS NULL THEN operation_span_id ELSE span_id END) AS unit
    FROM (SELECT *, hash(environment, service, type IS NULL, coalesce(type, operation)) AS message_kind FROM publish_facts)
    WHERE message_kind IN (SELECT message_kind FROM several) AND coalesce(type, operation) IS NOT NULL
      AND start_ns >= (SELECT max(start_ns) FROM publish_facts) - (SELECT (population_h * 3600e9)::BIGINT FROM thresholds)
      AND exchange IS NOT NULL AND routing_key IS NOT NULL
      AND NOT starts_with(routing_key, 'amq.rabbitmq.reply-to') AND NOT starts_with(routing_key, 'amq.gen-')
      AND NOT (exchange = '' AND routing_key IN (SELECT name FROM reply_names))
), kinds AS (
    SELECT message_kind, count(DISTINCT unit) AS units FROM pubs GROUP BY message_kind HAVING count(DISTINCT unit) >= (SELECT outlier_kind_size FROM thresholds)
), keys AS (
    SELECT message_kind, exchange, routing_key, count(DISTINCT unit) AS units, count(*) AS messages FROM pubs GROUP BY ALL
), usual AS (     -- K1, one a kind: the most frequent
    SELECT k.message_kind, k.exchange, k.routing_key, k.units, n.units AS of_units
    FROM keys k JOIN kinds n USING (message_kind)
    WHERE k.units >= (SELECT outlier_share FROM thresholds) * n.units
), rare AS (
    SELECT DISTINCT u.message_kind
    FROM usual u JOIN keys k ON k.message_kind = u.message_kind AND (k.exchange <> u.exchange OR k.routing_key <> u.routing_key)
    WHERE k.units <= (SELECT outlier_rare_share FROM thresholds) * u.of_units
), totals AS (
    SELECT environment, exchange, routing_key, sum(messages) AS messages FROM ways GROUP BY ALL
), delivered AS (
    SELECT any_value(d.environment) AS environment, any_value(d.exchange) AS exchange, any_value(d.routing_key) AS routing_key
    FROM delivery_facts d
    WHERE d.death IS NULL AND d.exchange IS NOT NULL AND d.routing_key IS NOT NULL AND EXISTS (SELECT 1 FROM rare)
    GROUP BY hash(d.environment, d.exchange, d.routing_key, reverse(d.routing_key))
), received AS (
    SELECT p.trace_id AS publish_trace_id, p.span_id AS publish_span_id, d.queue, any_value(d.broker) AS broker, any_value(d.vhost) AS vhost,
        -- of a queue that no span names, there may be several
        CASE WHEN d.queue IS NOT NULL OR count(DISTINCT d.service) = 1 THEN min(d.service) END AS consumer_service, min(d.received_ns) AS received_ns, max(d.batch) AS batch,
        list({consumer_span_id: d.span_id, trace_id: d.trace_id, delivery_tag: d.delivery_tag, redelivered: d.redelivered,
            settled: d.settlement, time_ns: d.received_ns} ORDER BY d.received_ns, d.span_id) AS deliveries
    FROM (
        SELECT p.trace_id, p.span_id FROM pubs p SEMI JOIN rare USING (message_kind)
        ANTI JOIN usual u ON u.message_kind = p.message_kind AND u.exchange = p.exchange AND u.routing_key = p.routing_key
    ) p
    JOIN delivery_facts d ON d.publish_trace_id = p.trace_id AND d.publish_span_id = p.span_id
    WHERE d.death IS NULL
    GROUP BY p.trace_id, p.span_id, d.queue
), usual_queues AS (
    SELECT u.message_kind, u.exchange, u.routing_key, coalesce(list_sort(list(DISTINCT d.queue) FILTER (WHERE d.queue IS NOT NULL)), []) AS queues
    FROM usual u SEMI JOIN rare USING (message_kind)
    JOIN pubs p ON p.message_kind = u.message_kind AND p.exchange = u.exchange AND p.routing_key = u.routing_key
    JOIN delivery_facts d ON d.publish_trace_id = p.trace_id AND d.publish_span_id = p.span_id
    WHERE d.death IS NULL
    GROUP BY u.message_kind, u.exchange, u.routing_key
), odd AS (
    SELECT p.*, u.exchange AS usual_exchange, u.routing_key AS usual_key, u.units AS usual_units, u.of_units, k.units AS odd_units,
        q.queues AS usual_queues,
        d.exchange IS NOT NULL AS key_delivered,
        t.messages > k.messages AND t.messages - k.messages >= (SELECT outlier_foreign_share FROM thresholds) * t.messages AS of_others
    FROM pubs p
    JOIN usual u ON u.message_kind = p.message_kind AND (u.exchange <> p.exchange OR u.routing_key <> p.routing_key)
    JOIN keys k ON k.message_kind = p.message_kind AND k.exchange = p.exchange AND k.routing_key = p.routing_key AND k.units <= (SELECT outlier_rare_share FROM thresholds) * u.of_units
    JOIN totals t ON t.environment IS NOT DISTINCT FROM p.environment AND t.exchange = p.exchange AND t.routing_key = p.routing_key
    JOIN usual_queues q ON q.message_kind = p.message_kind AND q.exchange = u.exchange AND q.routing_key = u.routing_key
    LEFT JOIN delivered d ON d.environment IS NOT DISTINCT FROM p.environment AND d.exchange = p.exchange AND d.routing_key = p.routing_key
    ANTI JOIN pubs w ON w.unit = p.unit AND w.message_kind = p.message_kind AND w.exchange = u.exchange AND w.routing_key = u.routing_key
    -- what else its operation published nobody heard while no collector listened
    ANTI JOIN unheard h ON p.type IS NULL AND p.start_ns BETWEEN h.from_ns AND h.to_ns
    QUALIFY row_number() OVER (PARTITION BY p.trace_id, p.span_id ORDER BY u.units DESC, u.exchange, u.routing_key) = 1
)
SELECT 'all' AS key, 'misrouted' AS kind, 'outlier' AS verdict, NULL AS cause, 'warning' AS severity, 'inferred' AS confidence, 'strayed' AS role,
    o.message, o.trace_id, o.span_id AS producer_span_id, o.message_id, o.environment, coalesce(r.broker, o.broker) AS broker, coalesce(r.vhost, o.vhost) AS vhost, r.queue,
    o.exchange, o.routing_key, o.service AS producer_service, r.consumer_service,
    to_json({expected_queues: o.usual_queues, actual_queues: list_filter([r.queue], lambda name: name IS NOT NULL), usual_exchange: o.usual_exchange, usual_routing_key: o.usual_key,
        usual_share: o.usual_units / o.of_units, units: o.of_units, odd_units: o.odd_units, of: CASE WHEN o.type IS NULL THEN o.operation ELSE o.type END,
        sequence: o.n, deliveries: coalesce(r.deliveries, [])}) AS evidence,
    coalesce(r.received_ns, o.start_ns) AS event_ns, greatest(r.received_ns, o.end_ns) AS facts_until_ns, greatest(o.batch, r.batch) AS batch
FROM odd o LEFT JOIN received r ON r.publish_trace_id = o.trace_id AND r.publish_span_id = o.span_id
WHERE o.of_others AND (r.publish_span_id IS NOT NULL OR NOT o.key_delivered AND o.outcome IS DISTINCT FROM 'returned')
UNION ALL
SELECT 'all', 'unroutable', NULL, NULL, 'warning', 'inferred', 'missing',
    o.message, o.trace_id, o.span_id, o.message_id, o.environment, o.broker, o.vhost, NULL, o.exchange, o.routing_key, o.service, NULL,
    to_json({expected_queues: o.usual_queues, actual_queues: []::VARCHAR[], usual_exchange: o.usual_exchange, usual_routing_key: o.usual_key,
        usual_share: o.usual_units / o.of_units, units: o.of_units, odd_units: o.odd_units, of: CASE WHEN o.type IS NULL THEN o.operation ELSE o.type END,
        sequence: o.n, deliveries: []::VARCHAR[]}),
    o.start_ns, o.end_ns, o.batch
FROM odd o
-- the broker's own word (returned) is judged in unroutable.sql
WHERE NOT o.of_others AND NOT o.key_delivered AND o.outcome IS DISTINCT FROM 'returned'
  AND NOT EXISTS (SELECT 1 FROM unheard u WHERE o.start_ns BETWEEN u.doubt_ns AND u.to_ns)
  -- a mandatory publish that was confirmed was routed; a delayed one may come yet
  AND NOT coalesce(o.mandatory AND o.outcome = 'confirmed', false) AND o.delay_ms IS NULL
  -- nor where somebody bound or declared a queue for it, or its exchange holds back or routes by chance
  AND NOT EXISTS (SELECT 1 FROM topology_facts t WHERE (t.vhost IS NULL OR t.vhost IS NOT DISTINCT FROM o.vhost) AND CASE t.kind
        WHEN 'binding' THEN t.action = 'bind' AND t.source_name = o.exchange AND t.routing_key = o.routing_key
        WHEN 'queue' THEN t.action = 'declare' AND o.exchange = '' AND t.name = o.routing_key
        WHEN 'exchange' THEN t.name = o.exchange AND t.type IN ('x-delayed-message', 'fanout', 'headers') END);
