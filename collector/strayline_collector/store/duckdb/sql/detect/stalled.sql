-- Queues whose consumers were seen, and which gave nothing out for long while messages waited
-- (docs/messages.md, section 5). `pauses` (detect/pauses.sql) holds when that was; a stall that
-- ended stays, with its end. What RabbitMQ says of the queue's level (`queue_levels`), where it is asked, decides: of a queue
-- that was empty since nothing waits, and what its consumers had has only waited since they gave it back.
WITH known AS (
    SELECT u.*,
        -- what it refuses only a confirm tells
        coalesce(starts_with(q.overflow, 'reject-publish') AND (q.max_length IS NOT NULL OR q.max_length_bytes IS NOT NULL), false) AS refuses,
        CASE WHEN coalesce(q.overflow, 'drop-head') = 'drop-head' THEN q.max_length END AS holds
    FROM pauses u
    LEFT JOIN queue_traits q ON q.name = u.queue AND q.broker IS NOT DISTINCT FROM u.broker AND q.vhost IS NOT DISTINCT FROM u.vhost
        AND q.environment IS NOT DISTINCT FROM u.environment AND u.from_ns BETWEEN q.from_ns AND q.to_ns
    WHERE NOT coalesce(q.is_stream OR q.short_lived OR q.ttl_ms IS NOT NULL, false)
      AND u.queue NOT IN (SELECT reply_to FROM publish_facts WHERE reply_to IS NOT NULL)
), got AS (          -- a delivery that names no broker may be of any queue of the name
    SELECT k.key, d.message, d.exchange, d.routing_key, d.service, d.epoch, d.channel, d.received_ns, d.batch FROM delivery_facts d
    JOIN (SELECT DISTINCT key, environment, broker, vhost, queue FROM known) k ON k.queue = d.queue AND (k.broker IS NOT DISTINCT FROM d.broker OR d.broker IS NULL)
        AND (k.vhost IS NOT DISTINCT FROM d.vhost OR d.broker IS NULL AND d.vhost IS NULL) AND k.environment IS NOT DISTINCT FROM d.environment
    WHERE d.death IS NULL
), seen_tags AS (
    SELECT l.key, d.epoch, d.channel, max(d.delivery_tag) AS tag
    FROM delivery_facts d JOIN (SELECT DISTINCT key, epoch, channel FROM got) l ON l.epoch = d.epoch AND l.channel = d.channel GROUP BY ALL
), handed AS (       -- given to a channel that is still at it: its span comes with its end
    SELECT k.key, k.from_ns, min(c.at_ns) AS at_ns
    FROM (SELECT epoch, at_ns, unnest(json_transform(census, '{"consumers":[{"channel":"BIGINT","queues":["VARCHAR"],"delivery_tag":"BIGINT"}]}').consumers) AS consumer
          FROM census WHERE json_valid(census) AND at_ns >= (SELECT min(from_ns) FROM known)) c
    JOIN seen_tags s ON s.epoch = c.epoch AND s.channel = c.consumer.channel AND c.consumer.delivery_tag > s.tag
    JOIN known k ON k.key = s.key AND list_contains(c.consumer.queues, k.queue) AND c.at_ns > k.from_ns AND (k.to_ns IS NULL OR k.unheard AND c.at_ns < k.to_ns)
    GROUP BY ALL
), levels AS (       -- what RabbitMQ said of a queue meanwhile: until when it was empty, or had given all to consumers, and what waits
    SELECT k.key, k.from_ns, max(l.about_ns) FILTER (WHERE l.state = 'empty') AS empty_ns, max(l.about_ns) FILTER (WHERE l.state = 'handed') AS handed_ns,
        arg_max({from_ns: l.seen_from, to_ns: l.last_ns, ready: l.ready, unacknowledged: l.unacknowledged, consumers: l.consumers}, l.seen_from) FILTER (WHERE l.state = 'waiting') AS waiting
    FROM known k
    JOIN (SELECT v.*, least(v.seen_to, m.now_ns) AS last_ns, least(v.about, m.now_ns) AS about_ns FROM queue_levels v CROSS JOIN moment m) l
        ON l.queue = k.queue AND l.vhost IS NOT DISTINCT FROM k.vhost AND l.broker IS NOT DISTINCT FROM k.broker
        AND l.seen_from <= coalesce(k.to_ns, l.last_ns) AND l.seen_from <= l.last_ns AND l.last_ns >= k.from_ns
    GROUP BY ALL
), ways AS (
    SELECT key, exchange, routing_key, min(received_ns) AS first_ns FROM got
    WHERE exchange IS NOT NULL AND routing_key IS NOT NULL AND message IS NOT NULL GROUP BY ALL
), firsts AS MATERIALIZED (
    SELECT key, message, min(received_ns) AS received_ns FROM got WHERE message IS NOT NULL GROUP BY ALL
), sent AS (
    SELECT rowid AS row_id, p.message, p.environment, p.broker, p.vhost, p.exchange, p.routing_key, p.routing_headers, p.mandatory, p.start_ns,
        coalesce(p.outcome IN ('confirmed', 'committed'), false) AS taken
    FROM publish_facts p, moment m
    WHERE p.delay_ms IS NULL AND p.expiration_ms IS NULL AND (p.outcome IS NULL OR p.outcome IN ('confirmed', 'committed', 'unconfirmed'))
      AND p.start_ns <= m.now_ns
), wanted AS (       -- what did not come while the pause lasted: of most queues nothing
    SELECT k.key, k.from_ns AS pause_ns, p.row_id
    FROM known k
    JOIN expected e ON e.queue = k.queue AND e.broker IS NOT DISTINCT FROM k.broker AND e.vhost IS NOT DISTINCT FROM k.vhost AND e.environment IS NOT DISTINCT FROM k.environment
    JOIN sent p ON p.exchange = e.exchange AND p.routing_key = e.routing_key AND p.start_ns BETWEEN e.from_ns AND e.to_ns
        AND p.environment IS NOT DISTINCT FROM e.environment AND p.broker IS NOT DISTINCT FROM e.broker AND p.vhost IS NOT DISTINCT FROM e.vhost
        AND p.routing_headers IS NOT DISTINCT FROM e.routing_headers AND (p.mandatory OR NOT e.if_mandatory)
    LEFT JOIN firsts f ON f.key = k.key AND f.message = p.message
    WHERE coalesce(p.start_ns < k.to_ns, true) AND CASE WHEN f.message IS NULL THEN (k.to_ns IS NULL OR k.unheard) AND (p.taken OR NOT k.refuses) ELSE f.received_ns >= k.to_ns END
    UNION
    SELECT w.key, w.pause_ns, w.row_id
    FROM (
        SELECT k.key, k.queue, k.from_ns AS pause_ns, p.row_id, p.message, p.exchange, p.vhost
        FROM known k JOIN ways w ON w.key = k.key
        JOIN sent p ON p.exchange = w.exchange AND p.routing_key = w.routing_key AND w.first_ns < p.start_ns
            AND p.environment IS NOT DISTINCT FROM k.environment AND p.broker IS NOT DISTINCT FROM k.broker AND p.vhost IS NOT DISTINCT FROM k.vhost
        LEFT JOIN firsts f ON f.key = k.key AND f.message = p.message
        WHERE p.routing_headers IS NULL
          AND coalesce(p.start_ns < k.to_ns, true) AND CASE WHEN f.message IS NULL THEN (k.to_ns IS NULL OR k.unheard) AND (p.taken OR NOT k.refuses) ELSE f.received_ns >= k.to_ns END
    ) w
    WHERE NOT EXISTS (SELECT 1 FROM delivery_facts d WHERE d.message = w.message AND d.queue <> w.queue)
      AND NOT EXISTS (SELECT 1 FROM topology_facts t WHERE t.kind = 'exchange' AND t.name = w.exchange AND (t.type LIKE 'x-%' OR t.type = 'headers') AND t.vhost IS NOT DISTINCT FROM w.vhost)
), given AS (        -- how far each producer's messages came out
    SELECT f.key, p.service, p.instance, p.channel, p.exchange, max(p.start_ns) AS start_ns
    FROM firsts f SEMI JOIN wanted w ON w.key = f.key JOIN publish_facts p ON p.message = f.message GROUP BY ALL
), waits AS (
    SELECT k.*, p.message, p.exchange, p.routing_key, p.service, p.trace_id, p.span_id, p.message_id, p.n, p.start_ns, p.batch,
        greatest(p.start_ns, k.from_ns, coalesce(h.at_ns, 0), CASE WHEN f.message IS NULL AND v.handed_ns >= p.start_ns THEN v.handed_ns ELSE 0 END) AS since_ns,
        v.waiting, m.now_ns, CASE WHEN f.message IS NOT NULL THEN k.to_ns END AS ended_ns
    FROM wanted w
    JOIN known k ON k.key = w.key AND k.from_ns = w.pause_ns
    JOIN publish_facts p ON p.rowid = w.row_id
    CROSS JOIN moment m
    LEFT JOIN firsts f ON f.key = w.key AND f.message = p.message
    LEFT JOIN given g ON g.key = w.key AND g.service = p.service AND g.instance IS NOT DISTINCT FROM p.instance AND g.channel IS NOT DISTINCT FROM p.channel AND g.exchange = p.exchange
    LEFT JOIN handed h ON h.key = k.key AND h.from_ns = k.from_ns
    LEFT JOIN levels v ON v.key = k.key AND v.from_ns = k.from_ns
    WHERE f.message IS NOT NULL OR (g.start_ns IS NULL OR p.start_ns > g.start_ns) AND NOT coalesce(v.empty_ns >= p.start_ns, false)
    -- of a queue that drops its oldest the newest wait, and of one that is said to have so many ready
    QUALIFY f.message IS NOT NULL
        OR row_number() OVER (PARTITION BY k.key, k.from_ns ORDER BY p.start_ns DESC, p.n DESC, p.message) <= coalesce(least(k.holds, v.waiting.ready), 9223372036854775807)
), told AS (
    SELECT key, min(service) AS consumer_service, max(batch) AS batch FROM got GROUP BY key
)
SELECT w.key, 'stalled' AS kind, NULL AS verdict, NULL AS cause, 'warning' AS severity,
    -- for as long as it may take RabbitMQ itself said that messages lie there and that it hands none out
    CASE WHEN w.waiting IS NOT NULL AND least(w.waiting.to_ns, coalesce(w.to_ns, w.now_ns)) - greatest(w.waiting.from_ns, w.since_ns) >= w.patience_ns THEN 'proven' ELSE 'inferred' END AS confidence,
    'waiting' AS role,
    w.message, w.trace_id, w.span_id AS producer_span_id, w.message_id, w.environment, w.broker, w.vhost, w.queue, w.exchange, w.routing_key,
    w.service AS producer_service, t.consumer_service,
    to_json({expected_queues: [w.queue], actual_queues: []::VARCHAR[], sequence: w.n, waited_ns: coalesce(w.to_ns, w.now_ns) - w.since_ns, patience_ns: w.patience_ns,
        last_delivery_ns: w.from_ns, ended_ns: w.ended_ns, longest_gap_ns: w.longest_ns,
        ready: w.waiting.ready, unacknowledged: w.waiting.unacknowledged, consumers: w.waiting.consumers, deliveries: []::VARCHAR[]}) AS evidence,
    w.since_ns + w.patience_ns AS event_ns, w.since_ns + w.patience_ns AS facts_until_ns, greatest(w.batch, t.batch) AS batch
FROM waits w JOIN told t ON t.key = w.key
WHERE coalesce(w.to_ns, w.now_ns) - w.since_ns >= w.patience_ns
  -- whoever emptied or deleted the queue meanwhile took what waited
  AND NOT EXISTS (SELECT 1 FROM topology_facts x WHERE x.kind = 'queue' AND x.action IN ('purge', 'delete') AND x.name = w.queue
      AND x.broker IS NOT DISTINCT FROM w.broker AND x.vhost IS NOT DISTINCT FROM w.vhost AND x.seen_ns BETWEEN w.start_ns AND coalesce(w.to_ns, w.now_ns))
QUALIFY row_number() OVER (PARTITION BY w.key, w.message ORDER BY w.from_ns) = 1;
