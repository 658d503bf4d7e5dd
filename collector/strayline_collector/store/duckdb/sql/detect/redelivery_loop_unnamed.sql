-- Messages that go round in a queue that no span names, or that the broker named (`*`: there may be several;
-- docs/detectors/redelivery_loop.md). Handlings in one
-- service by one exchange and key may be of as many queues as it has there, each of which tried once. A message
-- that went well was handled once in each: with as many queues, one more try than each may have without
-- a loop proves that one of them loops. Where too few went well to tell, twenty queues are assumed.
WITH tried AS (
    SELECT d.*, coalesce(settlement IN ('nack_drop', 'reject_drop'), false) AS paused, coalesce(d.settled_ns, d.handled_end_ns, d.received_ns) AS done_ns
    FROM delivery_facts d
    -- a headers exchange sends messages of one key to different queues, others by chance
    ANTI JOIN (SELECT name FROM topology_facts WHERE kind = 'exchange' AND (type = 'headers' OR type LIKE 'x-%')) x ON x.name = d.exchange
    WHERE coalesce(d.queue, '*') = '*' AND d.message IS NOT NULL AND (d.settlement IN ('nack_requeue', 'reject_requeue') OR coalesce(d.failed, false))
), often AS MATERIALIZED (
    SELECT environment, broker, vhost, queue, message, service, exchange, routing_key, count(*) AS tries, count(*) FILTER (WHERE NOT paused) AS unpaused,
        count(*) FILTER (WHERE settlement IN ('nack_requeue', 'reject_requeue')) AS given_back, count(*) FILTER (WHERE coalesce(failed, false)) AS errors,
        min(received_ns) AS received_ns, min(done_ns) AS first_ns, max(done_ns) AS last_ns, max(batch) AS batch,
        list({consumer_span_id: span_id, trace_id: trace_id, delivery_tag: delivery_tag, redelivered: redelivered, settled: settlement, time_ns: received_ns}
            ORDER BY received_ns, delivery_tag, span_id)[:50] AS deliveries
    FROM tried GROUP BY ALL HAVING count(*) >= (SELECT loop_tries FROM thresholds)
), well AS (
    SELECT d.environment, d.queue, d.service, d.exchange, d.routing_key, count(*) AS handlings
    FROM delivery_facts d
    SEMI JOIN often o ON o.service = d.service AND o.queue IS NOT DISTINCT FROM d.queue AND o.exchange = d.exchange AND o.routing_key IS NOT DISTINCT FROM d.routing_key
        AND o.environment IS NOT DISTINCT FROM d.environment
    WHERE coalesce(d.queue, '*') = '*' AND d.message IS NOT NULL
    GROUP BY d.environment, d.queue, d.service, d.exchange, d.routing_key, d.message
    HAVING NOT bool_or(coalesce(d.failed, false) OR coalesce(d.settlement NOT IN ('ack', 'sent', 'auto'), false))
), queues AS (
    SELECT environment, queue, service, exchange, routing_key, greatest(max(handlings), CASE WHEN count(*) < (SELECT loop_tries FROM thresholds) THEN 20 END) AS most
    FROM well GROUP BY ALL
), loops AS (
    SELECT o.*, coalesce(q.most, 20) AS queues_at_most
    FROM often o LEFT JOIN queues q ON q.service = o.service AND q.queue IS NOT DISTINCT FROM o.queue AND q.exchange = o.exchange AND q.routing_key IS NOT DISTINCT FROM o.routing_key
        AND q.environment IS NOT DISTINCT FROM o.environment
    WHERE o.unpaused > coalesce(q.most, 20) * ((SELECT loop_tries FROM thresholds) - 1)
       OR o.tries > coalesce(q.most, 20) * (4 * (SELECT loop_tries FROM thresholds) - 1)
    -- one verdict a message, of whoever tried it most
    QUALIFY row_number() OVER (PARTITION BY o.environment, o.broker, o.vhost, o.queue, o.message ORDER BY o.tries DESC, o.service, o.exchange, o.routing_key) = 1
)
SELECT 'all' AS key, 'redelivery_loop' AS kind, NULL AS verdict, NULL AS cause, 'warning' AS severity, 'inferred' AS confidence, 'looping' AS role,
    l.message, p.trace_id, p.span_id AS producer_span_id, p.message_id, l.environment, l.broker, l.vhost, l.queue,
    l.exchange, l.routing_key, p.service AS producer_service, l.service AS consumer_service,
    to_json({tries: l.tries, given_back: l.given_back, errors: l.errors, first_ns: l.first_ns, last_ns: l.last_ns, ten_took_ns: NULL, queues_at_most: l.queues_at_most,
        sequence: p.n, deliveries: l.deliveries}) AS evidence,
    l.last_ns AS event_ns, l.last_ns AS facts_until_ns, l.batch
FROM loops l LEFT JOIN publish_facts p ON p.message = l.message;
