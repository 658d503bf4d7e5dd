-- Messages that go round in a queue (docs/messages.md, section 5): at least five handlings of one
-- identity that each ended in an error or gave it back. Ten within ten seconds turn a loop that
-- wastes work into one that burns it. These numbers are `thresholds`. A retry that its queue arranged,
-- with a pause (`x-death` tells of a queue in which it waited), is a policy until it has gone on four
-- times as long. Other SDKs' spans tell nothing of `x-death`, and call a rejection an error: one that came
-- again went round. `near`: duplicated_near.sql.
WITH tried AS (
    SELECT d.*,
        coalesce(d.settled_ns, d.handled_end_ns, d.received_ns) AS done_ns
    FROM near d SEMI JOIN touched USING (key)
    WHERE d.settlement IN ('nack_requeue', 'reject_requeue') OR coalesce(d.failed, false)
), waited AS (
    SELECT DISTINCT queue, environment, broker, vhost, met FROM near WHERE contains(death, '|expired|')
), timed AS (
    SELECT t.* EXCLUDE (met), (w.met IS NOT NULL OR t.source = 'spans') AND coalesce(t.settlement IN ('nack_drop', 'reject_drop'), false) AS paused, done_ns - lag(done_ns, (SELECT greatest(1, ceil(loop_rate_per_s * loop_rate_window_s)::INTEGER - 1) FROM thresholds)) OVER (PARTITION BY key ORDER BY done_ns, span_id) AS ten_took_ns
    FROM tried t
    LEFT JOIN waited w ON w.met = t.met AND w.queue = t.queue AND w.environment IS NOT DISTINCT FROM t.environment AND w.broker IS NOT DISTINCT FROM t.broker
        AND w.vhost IS NOT DISTINCT FROM t.vhost
), loops AS (
    SELECT key, any_value(environment) AS environment, any_value(broker) AS broker, any_value(vhost) AS vhost, any_value(queue) AS queue,
        max(message) AS message, any_value(array_to_string(string_split(stamp, '.')[2:4], '.')) AS stamped,
        min_by({exchange: exchange, routing_key: routing_key}, {ns: received_ns, span: span_id}) AS way,
        count(*) AS tries, count(*) FILTER (WHERE settlement IN ('nack_requeue', 'reject_requeue')) AS given_back, count(*) FILTER (WHERE coalesce(failed, false)) AS errors,
        min(ten_took_ns) AS ten_took_ns, bool_and(source = 'shim') AS stamped_all, list(DISTINCT service ORDER BY service) AS services,
        min(done_ns) AS first_ns, max(done_ns) AS last_ns, max(batch) AS batch,
        list({consumer_span_id: span_id, trace_id: trace_id, delivery_tag: delivery_tag, redelivered: redelivered, settled: settlement, time_ns: received_ns}
            ORDER BY received_ns, delivery_tag, span_id)[:50] AS deliveries
    FROM timed GROUP BY key 
    HAVING count(*) FILTER (WHERE NOT paused) >= (SELECT loop_tries FROM thresholds) OR count(*) >= 4 * (SELECT loop_tries FROM thresholds)
)
SELECT l.key, 'redelivery_loop' AS kind, NULL AS verdict, NULL AS cause,
    CASE WHEN l.stamped_all AND l.ten_took_ns <= (SELECT loop_rate_window_s * 1e9 FROM thresholds) THEN 'error' ELSE 'warning' END AS severity,
    CASE WHEN l.stamped_all THEN 'proven' ELSE 'inferred' END AS confidence, 'looping' AS role,
    coalesce(l.message, l.stamped) AS message, p.trace_id, p.span_id AS producer_span_id, p.message_id, l.environment, l.broker, l.vhost, l.queue,
    coalesce(p.exchange, l.way.exchange) AS exchange, coalesce(p.routing_key, l.way.routing_key) AS routing_key, p.service AS producer_service,
    CASE WHEN len(l.services) = 1 THEN l.services[1] END AS consumer_service,
    to_json({tries: l.tries, given_back: l.given_back, errors: l.errors, first_ns: l.first_ns, last_ns: l.last_ns, ten_took_ns: l.ten_took_ns,
        sequence: p.n, deliveries: l.deliveries}) AS evidence,
    l.last_ns AS event_ns, l.last_ns AS facts_until_ns, l.batch
FROM loops l
LEFT JOIN (SELECT * FROM publish_facts WHERE first_batch >= $from) p ON p.message = coalesce(l.message, l.stamped);
