-- Messages that left a queue as dead letters (docs/messages.md, section 5): its `x-death` says so where
-- it was delivered again, or it was rejected for good, or once more than its quorum queue tries, in a
-- queue that surely has a dead-letter exchange, or came by another exchange or key thereafter.
-- One that came back to that queue and was handled there was a retry; one that expired in a queue
-- nobody consumes, and was handled after, had been made to wait. `dead_ends` (detect/dead_ends.py)
-- holds where rejected messages go, by queue and way.
WITH dying AS MATERIALIZED (   -- by eight bytes first: most messages never die
    SELECT DISTINCT hash(coalesce(message, array_to_string(string_split(stamp, '.')[2:4], '.'))) AS named
    FROM delivery_facts WHERE death IS NOT NULL OR settlement IN ('nack_drop', 'reject_drop')
        OR settlement IN ('nack_requeue', 'reject_requeue') AND delivery_count >= (SELECT min(delivery_limit) FROM queue_traits)
), seen AS MATERIALIZED (
    SELECT d.*, coalesce(d.message, array_to_string(string_split(d.stamp, '.')[2:4], '.')) AS met,
        CAST(coalesce(d.death, '[]') AS VARCHAR[]) AS deaths, coalesce(d.settled_ns, d.handled_end_ns, d.received_ns) AS done_ns,
        NOT coalesce(d.failed, false) AND (d.settlement IN ('ack', 'sent', 'auto')
            OR d.settlement IS NULL AND d.source = 'spans' AND d.handled_end_ns IS NOT NULL) AS succeeded   -- other SDKs tell no acknowledgement
    FROM delivery_facts d
    WHERE d.queue IS NOT NULL AND (d.message IS NOT NULL OR d.stamp IS NOT NULL)
      AND hash(coalesce(d.message, array_to_string(string_split(d.stamp, '.')[2:4], '.'))) IN (SELECT named FROM dying)
), told AS (         -- by x-death, wherever it came to light
    SELECT met, environment, broker, vhost, split_part(told, '|', 1) AS queue, split_part(told, '|', 2) AS reason,
        max(TRY_CAST(split_part(told, '|', 3) AS BIGINT)) AS times, min(received_ns) AS seen_ns, max(done_ns) AS until_ns, max(batch) AS batch, bool_or(source = 'shim') AS sure,
        list(DISTINCT queue ORDER BY queue) AS came_to, NULL::VARCHAR AS consumer_service
    FROM (SELECT *, unnest(deaths) AS told FROM seen WHERE len(deaths) > 0)
    GROUP BY ALL
), came_by AS (      -- no x-death is told by other SDKs' spans: after it was rejected it came by another exchange or key
    SELECT s.met, s.queue, s.trace_id, s.span_id, list(DISTINCT o.queue ORDER BY o.queue) AS came_to, max(o.batch) AS batch, max(o.received_ns) AS until_ns
    FROM seen s JOIN seen o ON o.met = s.met AND o.environment IS NOT DISTINCT FROM s.environment AND o.broker IS NOT DISTINCT FROM s.broker
        AND o.vhost IS NOT DISTINCT FROM s.vhost AND (o.exchange <> s.exchange OR o.routing_key <> s.routing_key)
        AND o.received_ns >= s.done_ns - 1000000   -- starts of whole milliseconds
    WHERE s.settlement IN ('nack_drop', 'reject_drop') AND o.source = 'spans'
    GROUP BY ALL
), dropped AS (      -- by its consumer's own word
    SELECT s.met, s.environment, s.broker, s.vhost, s.queue,
        CASE WHEN s.settlement IN ('nack_drop', 'reject_drop') THEN 'rejected' ELSE 'delivery_limit' END AS reason, count(*) AS times, min(s.done_ns) AS seen_ns,
        greatest(max(s.done_ns), max(c.until_ns)) AS until_ns, greatest(max(s.batch), max(c.batch)) AS batch,
        bool_or(s.source = 'shim' AND q.name IS NOT NULL) AS sure, any_value(s.exchange) AS exchange, any_value(s.routing_key) AS routing_key, min(s.service) AS consumer_service,
        min(c.came_to) AS came_to
    FROM seen s
    LEFT JOIN queue_traits q ON q.name = s.queue AND q.dead_letter_exchange IS NOT NULL AND q.broker IS NOT DISTINCT FROM s.broker
        AND q.vhost IS NOT DISTINCT FROM s.vhost AND q.environment IS NOT DISTINCT FROM s.environment AND s.received_ns BETWEEN q.from_ns AND q.to_ns
    LEFT JOIN came_by c ON c.met = s.met AND c.queue = s.queue AND c.trace_id = s.trace_id AND c.span_id = s.span_id
    WHERE c.met IS NOT NULL
        OR q.name IS NOT NULL AND (s.settlement IN ('nack_drop', 'reject_drop') OR s.settlement IN ('nack_requeue', 'reject_requeue') AND s.delivery_count >= q.delivery_limit)
    GROUP BY s.met, s.environment, s.broker, s.vhost, s.queue, reason
), deaths AS (
    SELECT coalesce(t.met, d.met) AS met, coalesce(t.environment, d.environment) AS environment, coalesce(t.broker, d.broker) AS broker, coalesce(t.vhost, d.vhost) AS vhost,
        coalesce(t.queue, d.queue) AS queue, coalesce(t.reason, d.reason) AS reason, greatest(t.times, d.times) AS times, coalesce(d.seen_ns, t.seen_ns) AS died_ns,
        greatest(t.until_ns, d.until_ns) AS until_ns, greatest(t.batch, d.batch) AS batch,
        coalesce(t.sure, false) OR coalesce(d.sure, false) AS sure, coalesce(t.came_to, d.came_to, []) AS came_to, d.exchange, d.routing_key, d.consumer_service
    FROM told t FULL JOIN dropped d ON d.met = t.met AND d.queue = t.queue AND d.reason = t.reason AND d.broker IS NOT DISTINCT FROM t.broker
        AND d.vhost IS NOT DISTINCT FROM t.vhost AND d.environment IS NOT DISTINCT FROM t.environment
), afterwards AS (   -- what became of each after it had died there
    SELECT x.met, x.queue, x.reason, x.environment, x.broker, x.vhost,
        coalesce(bool_or(s.succeeded AND s.queue = x.queue), false) AS retried,
        coalesce(bool_or(s.succeeded), false) AS handled,
        coalesce(bool_or(s.queue <> x.queue), false) AS went_on
    FROM deaths x JOIN seen s ON s.met = x.met AND s.environment IS NOT DISTINCT FROM x.environment AND s.received_ns >= x.died_ns - CASE s.source WHEN 'spans' THEN 1000000 ELSE 0 END
        -- the way tells it too, within the millisecond that both share
        AND (s.queue <> x.queue OR len(s.deaths) > 0 OR s.received_ns > x.died_ns OR s.source = 'spans' AND (s.exchange <> x.exchange OR s.routing_key <> x.routing_key))
    GROUP BY ALL
), consumed AS (
    SELECT DISTINCT environment, broker, vhost, queue FROM delivery_facts
    WHERE queue IN (SELECT target FROM dead_ends UNION ALL SELECT queue FROM deaths WHERE reason = 'expired')
), rest AS (         -- where a rejected message lies, when that is sure and nothing leads on
    SELECT e.environment, e.broker, e.vhost, e.queue, e.exchange, e.routing_key, min(e.target) AS rests_in
    FROM dead_ends e
    ANTI JOIN consumed c ON c.queue = e.target AND c.broker IS NOT DISTINCT FROM e.broker AND c.vhost IS NOT DISTINCT FROM e.vhost
        AND c.environment IS NOT DISTINCT FROM e.environment
    LEFT JOIN queue_traits q ON q.name = e.target AND q.broker IS NOT DISTINCT FROM e.broker AND q.vhost IS NOT DISTINCT FROM e.vhost
        AND q.environment IS NOT DISTINCT FROM e.environment AND q.to_ns = 9223372036854775807
    WHERE NOT (q.dead_letter_exchange IS NOT NULL AND (q.ttl_ms IS NOT NULL OR q.max_length IS NOT NULL OR q.max_length_bytes IS NOT NULL))
      AND NOT coalesce(q.is_stream, false)
    GROUP BY ALL
), standing AS (
    SELECT x.*, r.rests_in
    FROM deaths x
    LEFT JOIN afterwards a ON a.met = x.met AND a.queue = x.queue AND a.reason = x.reason AND a.broker IS NOT DISTINCT FROM x.broker
        AND a.vhost IS NOT DISTINCT FROM x.vhost AND a.environment IS NOT DISTINCT FROM x.environment
    LEFT JOIN consumed c ON c.queue = x.queue AND c.broker IS NOT DISTINCT FROM x.broker AND c.vhost IS NOT DISTINCT FROM x.vhost AND c.environment IS NOT DISTINCT FROM x.environment
    LEFT JOIN rest r ON r.queue = x.queue AND r.exchange = x.exchange AND r.routing_key = x.routing_key AND r.broker IS NOT DISTINCT FROM x.broker
        AND r.vhost IS NOT DISTINCT FROM x.vhost AND r.environment IS NOT DISTINCT FROM x.environment AND NOT coalesce(a.went_on, false)
    WHERE NOT coalesce(a.retried, false)
      -- whether it was a retry nobody knows where its sequel may have come while no collector listened
      AND (coalesce(a.handled, false) OR NOT EXISTS (SELECT 1 FROM unheard u WHERE x.died_ns BETWEEN u.doubt_ns AND u.to_ns))
      AND NOT (x.reason = 'expired' AND c.queue IS NULL AND coalesce(a.handled, false))
), rows AS (
    SELECT s.*, p.trace_id, p.span_id, p.message_id, p.n, p.service AS producer_service, p.exchange AS p_exchange, p.routing_key AS p_routing_key, p.end_ns,
        d.deliveries
    FROM standing s
    LEFT JOIN publish_facts p ON p.message = s.met
    LEFT JOIN (
        SELECT met, environment, list({consumer_span_id: span_id, trace_id: trace_id, delivery_tag: delivery_tag, redelivered: redelivered, settled: settlement, time_ns: received_ns}
            ORDER BY received_ns, delivery_tag, span_id)[:50] AS deliveries
        FROM seen WHERE met IN (SELECT met FROM standing) GROUP BY met, environment
    ) d ON d.met = s.met AND d.environment IS NOT DISTINCT FROM s.environment
)
SELECT 'all' AS key, 'dead_lettered' AS kind, NULL AS verdict, NULL AS cause, CASE WHEN rests_in IS NULL THEN 'info' ELSE 'warning' END AS severity,
    CASE WHEN sure THEN 'proven' ELSE 'inferred' END AS confidence, 'dead_lettered' AS role, met AS message, trace_id, span_id AS producer_span_id, message_id, environment, broker, vhost, queue,
    coalesce(p_exchange, exchange) AS exchange, coalesce(p_routing_key, routing_key) AS routing_key, producer_service, consumer_service,
    to_json({reason: reason, times: times, path: CASE WHEN rests_in IS NOT NULL THEN [queue, rests_in] WHEN len(came_to) > 0 THEN list_concat([queue], list_filter(came_to, lambda q: q <> queue)) ELSE [queue] END,
        rests_in: rests_in, sequence: n, deliveries: deliveries}) AS evidence,
    died_ns AS event_ns, greatest(until_ns, died_ns) AS facts_until_ns, batch
FROM rows;
