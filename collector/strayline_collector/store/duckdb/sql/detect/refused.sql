-- Messages that came to the wrong consumer, by what it does with them (docs/messages.md, section 5): it
-- rejects or fails on every message of an exchange and key (two at least) while it succeeds with others,
-- and another queue's consumer succeeds with these.
WITH recent AS (
    SELECT d.*, (d.settlement IN ('nack_drop', 'reject_drop') OR coalesce(d.failed, false)) AS refused,
        NOT coalesce(d.failed, false) AND coalesce(d.settlement, CASE WHEN d.handled_end_ns IS NOT NULL THEN 'ack' END, '') IN ('ack', 'sent', 'auto')
            AND (d.handled_end_ns IS NOT NULL OR d.source = 'shim') AS succeeded   -- of a `basic.get` no handling is seen
    FROM delivery_facts d
    WHERE d.queue <> '*' AND d.exchange IS NOT NULL AND d.routing_key IS NOT NULL AND d.death IS NULL
      AND d.received_ns >= (SELECT max(received_ns) FROM delivery_facts) - (SELECT (population_h * 3600e9)::BIGINT FROM thresholds)
), bad AS MATERIALIZED (      -- most traffic is refused nowhere
    SELECT * FROM recent WHERE refused
), handled AS (    -- in the end, if only after a retry that its queue arranged
    SELECT DISTINCT environment, broker, vhost, queue, message FROM delivery_facts
    WHERE message IN (SELECT message FROM bad) AND queue IS NOT NULL AND NOT coalesce(failed, false)
      AND coalesce(settlement, CASE WHEN handled_end_ns IS NOT NULL THEN 'ack' END, '') IN ('ack', 'sent', 'auto') AND (handled_end_ns IS NOT NULL OR source = 'shim')
), recovered AS (
    SELECT DISTINCT b.environment, b.broker, b.vhost, b.queue, b.service, b.exchange, b.routing_key
    FROM bad b JOIN handled h ON h.message = b.message AND h.queue = b.queue AND h.environment IS NOT DISTINCT FROM b.environment
        AND h.broker IS NOT DISTINCT FROM b.broker AND h.vhost IS NOT DISTINCT FROM b.vhost
), ways AS MATERIALIZED (
    SELECT environment, broker, vhost, queue, service, exchange, routing_key, count(*) FILTER (WHERE succeeded) AS succeeded,
        count(DISTINCT coalesce(message, span_id)) FILTER (WHERE refused) AS refused
    FROM recent WHERE queue IN (SELECT queue FROM bad) OR routing_key IN (SELECT routing_key FROM bad)
    GROUP BY ALL
), wrong AS (
    SELECT w.*
    FROM ways w
    ANTI JOIN recovered r ON r.queue = w.queue AND r.service = w.service AND r.exchange = w.exchange AND r.routing_key = w.routing_key
        AND r.environment IS NOT DISTINCT FROM w.environment AND r.broker IS NOT DISTINCT FROM w.broker AND r.vhost IS NOT DISTINCT FROM w.vhost
    WHERE w.succeeded = 0 AND w.refused >= (SELECT refused_tries FROM thresholds)
      AND EXISTS (SELECT 1 FROM ways o WHERE o.service = w.service AND o.queue = w.queue AND o.environment IS NOT DISTINCT FROM w.environment
            AND o.broker IS NOT DISTINCT FROM w.broker AND o.vhost IS NOT DISTINCT FROM w.vhost AND (o.exchange <> w.exchange OR o.routing_key <> w.routing_key) AND o.succeeded > 0)
), right_places AS (
    SELECT w.environment, w.broker, w.vhost, w.queue, w.service, w.exchange, w.routing_key, list_sort(list(DISTINCT o.queue)) AS queues
    FROM wrong w JOIN ways o ON o.exchange = w.exchange AND o.routing_key = w.routing_key AND o.queue <> w.queue AND o.succeeded > 0
        AND o.environment IS NOT DISTINCT FROM w.environment AND o.broker IS NOT DISTINCT FROM w.broker AND o.vhost IS NOT DISTINCT FROM w.vhost
    GROUP BY ALL
), strayed AS (
    SELECT t.environment, t.broker, t.vhost, t.queue, t.exchange, t.routing_key, t.service AS consumer_service, r.queues AS expected,
        coalesce(t.message, t.span_id) AS met, min(t.received_ns) AS received_ns, max(coalesce(t.settled_ns, t.handled_end_ns, t.received_ns)) AS until_ns, max(t.batch) AS batch,
        count(*) AS tries,
        list({consumer_span_id: t.span_id, trace_id: t.trace_id, delivery_tag: t.delivery_tag, redelivered: t.redelivered, settled: t.settlement, time_ns: t.received_ns}
            ORDER BY t.received_ns, t.delivery_tag, t.span_id)[:50] AS deliveries
    FROM bad t JOIN right_places r ON r.queue = t.queue AND r.service = t.service AND r.exchange = t.exchange AND r.routing_key = t.routing_key
        AND r.environment IS NOT DISTINCT FROM t.environment AND r.broker IS NOT DISTINCT FROM t.broker AND r.vhost IS NOT DISTINCT FROM t.vhost
    GROUP BY ALL
)
SELECT 'all' AS key, 'misrouted' AS kind, 'refused' AS verdict, NULL AS cause, 'warning' AS severity, 'inferred' AS confidence, 'strayed' AS role,
    s.met AS message, p.trace_id, p.span_id AS producer_span_id, p.message_id, s.environment, s.broker, s.vhost, s.queue, s.exchange, s.routing_key,
    p.service AS producer_service, s.consumer_service,
    to_json({expected_queues: s.expected, actual_queues: [s.queue], tries: s.tries, sequence: p.n, deliveries: s.deliveries}) AS evidence,
    s.received_ns AS event_ns, greatest(s.until_ns, s.received_ns) AS facts_until_ns, s.batch
FROM strayed s LEFT JOIN publish_facts p ON p.message = s.met;
