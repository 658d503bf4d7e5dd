-- Messages handled twice with success in one queue (docs/messages.md, section 5): one identity, two
-- handlings that each ended without error and were acknowledged, and nothing given back between.
-- A copy that somebody published again with the same stamp counts: both succeeded. `near`: duplicated_near.sql.
WITH tried AS (
    SELECT d.*,
        -- the handling of what a `basic.get` brought has no span: its acknowledgement ends it
        d.settlement IN ('ack', 'sent', 'auto') AND (d.handled_end_ns IS NOT NULL OR d.source = 'shim') AND NOT coalesce(d.failed, false) AS succeeded,
        coalesce(d.settled_ns, d.handled_end_ns) AS done_ns
    FROM near d SEMI JOIN touched USING (key)
), parted AS (
    SELECT *, count(*) FILTER (WHERE settlement IN ('nack_requeue', 'reject_requeue', 'nack_drop', 'reject_drop'))
            OVER (PARTITION BY key ORDER BY received_ns, delivery_tag, span_id) AS given_back,
        -- the same stamp fresh again, with no new death: published a second time, not delivered again
        NOT coalesce(stamp_ok, true) OR (redelivered IS NOT DISTINCT FROM false
            AND row_number() OVER (PARTITION BY key, coalesce(death, ''), redelivered ORDER BY received_ns, delivery_tag, span_id) > 1) AS republished
    FROM tried
), handled AS (
    SELECT *, row_number() OVER (PARTITION BY key, given_back ORDER BY received_ns, delivery_tag, span_id) AS time
    FROM parted WHERE succeeded
), twice AS (
    SELECT key, any_value(environment) AS environment, any_value(broker) AS broker, any_value(vhost) AS vhost, any_value(queue) AS queue,
        max(message) AS message, any_value(array_to_string(string_split(stamp, '.')[2:4], '.')) AS stamped,
        min_by({exchange: exchange, routing_key: routing_key}, {ns: received_ns, span: span_id}) AS way,
        count(*) FILTER (WHERE time > 1) AS copies, bool_or(republished) AS republished, bool_and(source = 'shim') AS stamped_all,
        list(DISTINCT service ORDER BY service) AS services,
        min(done_ns) FILTER (WHERE time = 2) AS again_ns, min(done_ns) FILTER (WHERE time = 1) AS first_ns, max(done_ns) AS last_ns, max(batch) AS batch,
        min_by(span_id, {ns: received_ns, span: span_id}) FILTER (WHERE time = 1) AS first_span_id,
        list({consumer_span_id: span_id, trace_id: trace_id, delivery_tag: delivery_tag, redelivered: redelivered, settled: settlement, time_ns: received_ns}
            ORDER BY received_ns, delivery_tag, span_id) AS deliveries
    FROM handled GROUP BY key HAVING count(*) FILTER (WHERE time > 1) > 0
), rows AS (
    SELECT t.*, coalesce(t.message, t.stamped) AS identity, p.trace_id, p.span_id AS producer_span_id, p.message_id, p.n, p.service AS producer_service,
        coalesce(p.exchange, t.way.exchange) AS exchange, coalesce(p.routing_key, t.way.routing_key) AS routing_key, coalesce(o.exactly_once, false) AS exactly_once
    FROM twice t
    LEFT JOIN (SELECT * FROM publish_facts WHERE first_batch >= $from) p ON p.message = coalesce(t.message, t.stamped)
    LEFT JOIN queue_traits q ON q.name = t.queue AND q.broker IS NOT DISTINCT FROM t.broker AND q.vhost IS NOT DISTINCT FROM t.vhost
        AND q.environment IS NOT DISTINCT FROM t.environment AND t.first_ns BETWEEN q.from_ns AND q.to_ns
    LEFT JOIN promises o ON o.queue = t.queue AND o.broker IS NOT DISTINCT FROM t.broker AND o.vhost IS NOT DISTINCT FROM t.vhost
        AND o.environment IS NOT DISTINCT FROM t.environment
    -- a stream hands every message to every consumer, fresh each time; so may a queue that nobody told of
    WHERE NOT coalesce(q.is_stream, t.republished)
)
SELECT key, 'duplicated' AS kind, 'handled' AS verdict, NULL AS cause,
    CASE WHEN exactly_once AND stamped_all THEN 'error' ELSE 'warning' END AS severity, CASE WHEN stamped_all THEN 'proven' ELSE 'inferred' END AS confidence,
    'copy' AS role, identity AS message, trace_id, producer_span_id, message_id, environment, broker, vhost, queue, exchange, routing_key, producer_service,
    CASE WHEN len(services) = 1 THEN services[1] END AS consumer_service,
    to_json({copies: copies, republished: republished, exactly_once: exactly_once, sequence: n, deliveries: deliveries}) AS evidence,
    again_ns AS event_ns, last_ns AS facts_until_ns, batch
FROM rows
UNION ALL
-- the handling that would have been enough, as context; it does not count
SELECT key, 'duplicated', 'handled', NULL, 'info', CASE WHEN stamped_all THEN 'proven' ELSE 'inferred' END, 'original', identity, trace_id, producer_span_id, message_id,
    environment, broker, vhost, queue, exchange, routing_key, producer_service, CASE WHEN len(services) = 1 THEN services[1] END,
    to_json({sequence: n, deliveries: list_filter(deliveries, lambda d: d.consumer_span_id = first_span_id)}), first_ns, first_ns, batch
FROM rows;
