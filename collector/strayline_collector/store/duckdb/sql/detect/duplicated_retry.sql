-- Messages that their producer published again because it did not learn what became of the first try,
-- and whose both tries came to one queue (docs/messages.md, section 5). With stamps: `retries`
-- (detect/retries.py). By spans alone: two publishes of one trace with one message id, exchange and key,
-- one after the other, by a producer whose ids tell its messages apart.
WITH spoken AS (
    SELECT * FROM publish_facts
    WHERE source = 'spans' AND message_id IS NOT NULL AND start_ns >= (SELECT max(start_ns) FROM publish_facts) - 86400000000000
), repeated AS (
    SELECT message, start_ns, end_ns, lag(message) OVER tries AS first, lag(end_ns) OVER tries AS first_end_ns, count(*) OVER same AS times
    FROM spoken
    WINDOW same AS (PARTITION BY environment, service, exchange, routing_key, trace_id, message_id), tries AS (same ORDER BY start_ns, span_id)
), telling AS (        -- an id that a producer gives to many messages tells none of them from another
    SELECT environment, service, exchange, routing_key FROM spoken GROUP BY ALL HAVING count(DISTINCT message_id) >= 0.8 * count(*)
), tries AS (
    SELECT r.message, r.first, 'proven' AS confidence FROM retries r
    UNION ALL
    SELECT r.message, r.first, 'inferred' FROM repeated r JOIN spoken s ON s.message = r.message
    SEMI JOIN telling t ON t.environment IS NOT DISTINCT FROM s.environment AND t.service = s.service AND t.exchange IS NOT DISTINCT FROM s.exchange AND t.routing_key IS NOT DISTINCT FROM s.routing_key
    -- a start of whole milliseconds (JavaScript) may have been up to one later than it says
    WHERE r.times = 2 AND r.first_end_ns <= r.start_ns + CASE WHEN r.start_ns % 1000000 = 0 THEN 999999 ELSE 0 END
), arrived AS (
    SELECT d.message, d.environment, d.broker, d.vhost, d.queue, min(d.received_ns) AS received_ns, max(coalesce(d.settled_ns, d.handled_end_ns, d.received_ns)) AS last_ns,
        max(d.batch) AS batch, min(d.service) AS service, count(DISTINCT d.service) AS services,
        list({consumer_span_id: d.span_id, trace_id: d.trace_id, delivery_tag: d.delivery_tag, redelivered: d.redelivered, settled: d.settlement, time_ns: d.received_ns}
            ORDER BY d.received_ns, d.delivery_tag, d.span_id) AS deliveries
    FROM delivery_facts d
    WHERE d.message IN (SELECT message FROM tries UNION ALL SELECT first FROM tries) AND d.queue IS NOT NULL AND d.death IS NULL
    GROUP BY ALL
), both_came AS (
    SELECT t.confidence, t.first, a.*, o.deliveries AS first_deliveries, o.received_ns AS first_received_ns, greatest(a.last_ns, o.last_ns) AS until_ns,
        greatest(a.batch, o.batch, p.batch, f.batch) AS newest_batch,
        p.trace_id, p.span_id, p.message_id, p.exchange, p.routing_key, p.service AS producer_service, p.n,
        f.trace_id AS first_trace_id, f.span_id AS first_span_id, f.message_id AS first_message_id, f.n AS first_n
    FROM tries t
    JOIN arrived a ON a.message = t.message
    JOIN arrived o ON o.message = t.first AND o.queue = a.queue AND o.broker IS NOT DISTINCT FROM a.broker AND o.vhost IS NOT DISTINCT FROM a.vhost
        AND o.environment IS NOT DISTINCT FROM a.environment
    JOIN publish_facts p ON p.message = t.message
    JOIN publish_facts f ON f.message = t.first
)
SELECT 'all' AS key, 'duplicated' AS kind, 'publish_retry' AS verdict, NULL AS cause, 'warning' AS severity, confidence, 'copy' AS role,
    message, trace_id, span_id AS producer_span_id, message_id, environment, broker, vhost, queue, exchange, routing_key, producer_service,
    CASE WHEN services = 1 THEN service END AS consumer_service,
    to_json({sequence: n, first: first, deliveries: deliveries}) AS evidence, received_ns AS event_ns, until_ns AS facts_until_ns, newest_batch AS batch
FROM both_came
UNION ALL
SELECT 'all', 'duplicated', 'publish_retry', NULL, 'info', any_value(confidence), 'original',
    first, any_value(first_trace_id), any_value(first_span_id), any_value(first_message_id), environment, broker, vhost, queue, any_value(exchange), any_value(routing_key),
    any_value(producer_service), CASE WHEN max(services) = 1 THEN any_value(service) END,
    to_json({sequence: any_value(first_n), deliveries: any_value(first_deliveries)}), min(first_received_ns), min(first_received_ns), max(newest_batch)
FROM both_came GROUP BY first, environment, broker, vhost, queue;
