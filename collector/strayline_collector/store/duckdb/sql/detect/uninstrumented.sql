-- Hops that nobody is ever seen at the other end of (docs/messages.md, section 5): so many
-- messages at least for a queue, or for an exchange and key where no queue is known, or replies to a requester,
-- and not one delivery of it in all that is kept. One row a hop; the messages are counted, not listed.
-- Of the ways that were ever seen (`expected`, `sent_ways`) few are silent: only their messages are looked at one by one.
WITH came AS MATERIALIZED (
    SELECT DISTINCT environment, broker, vhost, queue, exchange, routing_key FROM delivery_facts
), consumed AS (
    SELECT DISTINCT environment, broker, vhost, queue FROM came WHERE queue IS NOT NULL
), arrived AS (
    SELECT DISTINCT environment, exchange, routing_key FROM came WHERE exchange IS NOT NULL
), unnamed AS (       -- handled, from a queue that no span names: any that its way leads to
    SELECT DISTINCT environment, exchange, routing_key FROM came WHERE queue IS NULL
), silent_queues AS MATERIALIZED (
    SELECT e.* FROM expected e
    ANTI JOIN consumed c ON c.queue = e.queue AND c.environment IS NOT DISTINCT FROM e.environment
        AND (c.broker = e.broker OR c.broker IS NULL OR e.broker IS NULL) AND (c.vhost = e.vhost OR c.vhost IS NULL OR e.vhost IS NULL)
    ANTI JOIN unnamed u ON u.exchange = e.exchange AND u.routing_key = e.routing_key AND u.environment IS NOT DISTINCT FROM e.environment
), ways AS (          -- counted by what loads told, so at least as many as are kept
    SELECT environment, exchange, routing_key FROM sent_ways
    GROUP BY ALL HAVING sum(messages) >= (SELECT uninstrumented_messages FROM thresholds)
), silent_ways AS MATERIALIZED (
    SELECT w.* FROM ways w
    ANTI JOIN arrived a ON a.exchange = w.exchange AND a.routing_key = w.routing_key AND a.environment IS NOT DISTINCT FROM w.environment
    ANTI JOIN expected e ON e.exchange = w.exchange AND e.routing_key = w.routing_key
    ANTI JOIN (SELECT DISTINCT reply_to AS name FROM publish_facts WHERE reply_to IS NOT NULL) r ON r.name = CASE WHEN w.exchange = '' THEN w.routing_key END
    WHERE NOT regexp_matches(w.routing_key, '^amq\.(rabbitmq\.reply-to|gen-)') AND NOT (w.exchange = '' AND w.routing_key IN (SELECT queue FROM consumed))
), asked AS MATERIALIZED (
    SELECT exchange, routing_key FROM silent_queues UNION SELECT exchange, routing_key FROM silent_ways
    UNION SELECT w.exchange, w.routing_key FROM sent_ways w
    ANTI JOIN consumed c ON starts_with(c.queue, 'amq.rabbitmq.reply-to') AND c.environment IS NOT DISTINCT FROM w.environment
    WHERE w.exchange = '' AND starts_with(w.routing_key, 'amq.rabbitmq.reply-to')
), sent AS MATERIALIZED (
    SELECT p.environment, p.broker, p.vhost, p.exchange, p.routing_key, p.routing_headers, p.service, p.message, p.mandatory, p.outcome, p.start_ns, p.end_ns, p.batch, p.expiration_ms
    FROM publish_facts p SEMI JOIN asked a ON a.exchange = p.exchange AND a.routing_key = p.routing_key
    ANTI JOIN unheard u ON p.start_ns BETWEEN u.from_ns AND u.to_ns
    WHERE p.outcome IS DISTINCT FROM 'returned' AND p.outcome IS DISTINCT FROM 'rolled_back'
), for_queue AS (
    SELECT p.environment, p.broker, p.vhost, e.queue, NULL::VARCHAR AS exchange, NULL::VARCHAR AS routing_key, NULL::VARCHAR AS producer_service,
        p.message, p.start_ns, p.end_ns, p.batch, {exchange: p.exchange, routing_key: p.routing_key, service: p.service} AS via
    FROM sent p JOIN silent_queues e ON e.exchange = p.exchange AND e.routing_key = p.routing_key AND p.start_ns BETWEEN e.from_ns AND e.to_ns
        AND e.environment IS NOT DISTINCT FROM p.environment AND e.broker IS NOT DISTINCT FROM p.broker AND e.vhost IS NOT DISTINCT FROM p.vhost
        AND e.routing_headers IS NOT DISTINCT FROM p.routing_headers
    -- where it waits to be dead-lettered nobody has to take it before its time is over
    LEFT JOIN queue_traits q ON q.name = e.queue AND q.dead_letter_exchange IS NOT NULL AND q.broker IS NOT DISTINCT FROM e.broker AND q.vhost IS NOT DISTINCT FROM e.vhost
        AND q.environment IS NOT DISTINCT FROM e.environment AND p.start_ns BETWEEN q.from_ns AND q.to_ns
    WHERE p.outcome IN ('confirmed', 'committed') AND (p.mandatory OR NOT e.if_mandatory)
      AND NOT coalesce(q.name IS NOT NULL AND CAST(p.end_ns AS DOUBLE) + least(q.ttl_ms, p.expiration_ms) * 1e6 > (SELECT max(start_ns) FROM publish_facts), false)
), for_key AS (
    SELECT p.environment, p.broker, p.vhost, CASE WHEN p.exchange = '' THEN p.routing_key END AS queue, p.exchange, p.routing_key, p.service AS producer_service,
        p.message, p.start_ns, p.end_ns, p.batch, {exchange: p.exchange, routing_key: p.routing_key, service: p.service} AS via
    FROM sent p SEMI JOIN silent_ways w ON w.exchange = p.exchange AND w.routing_key = p.routing_key AND w.environment IS NOT DISTINCT FROM p.environment
), for_requester AS (
    SELECT p.environment, p.broker, p.vhost, 'amq.rabbitmq.reply-to' AS queue, '' AS exchange, 'amq.rabbitmq.reply-to' AS routing_key, p.service AS producer_service,
        p.message, p.start_ns, p.end_ns, p.batch, NULL AS via
    FROM sent p
    ANTI JOIN consumed c ON starts_with(c.queue, 'amq.rabbitmq.reply-to') AND c.environment IS NOT DISTINCT FROM p.environment
    WHERE p.exchange = '' AND starts_with(p.routing_key, 'amq.rabbitmq.reply-to')
), silent AS MATERIALIZED (
    SELECT * FROM for_queue UNION ALL SELECT * FROM for_key
), went_on AS (      -- what waited there and was dead-lettered when its time was over nobody had to take
    SELECT message, exchange, routing_key, list_transform(CAST(death AS VARCHAR[]), lambda told: split_part(told, '|', 1)) AS died_in
    FROM delivery_facts WHERE message IN (SELECT message FROM silent)
), left_it AS (       -- apart: an ANTI JOIN by more than equal columns looks at every pair
    SELECT DISTINCT s.message, s.queue, s.via FROM silent s JOIN went_on w ON w.message = s.message
    WHERE CASE WHEN w.died_in IS NOT NULL AND s.queue IS NOT NULL THEN list_contains(w.died_in, s.queue)
        ELSE w.exchange <> s.via.exchange OR w.routing_key <> s.via.routing_key END
), unseen AS (
    SELECT s.* FROM silent s ANTI JOIN left_it l ON l.message = s.message AND l.queue IS NOT DISTINCT FROM s.queue AND l.via IS NOT DISTINCT FROM s.via
), hops AS (
    SELECT environment, broker, vhost, queue, exchange, routing_key, producer_service, count(DISTINCT message) AS unseen,
        min(start_ns) AS first_ns, max(end_ns) AS last_ns, max(batch) AS batch,
        list_sort(list(DISTINCT via))[:20] AS via,
        -- a consumer may be about to start: live it is told when nobody came for 5 minutes more
        list_last(min(end_ns, (SELECT least(uninstrumented_messages, 999999) FROM thresholds))) + 300000000000 AS enough_ns
    FROM (SELECT * FROM unseen UNION ALL SELECT * FROM for_requester)
    GROUP BY ALL HAVING count(DISTINCT message) >= (SELECT uninstrumented_messages FROM thresholds)
)
SELECT 'all' AS key, 'uninstrumented' AS kind, NULL AS verdict, NULL AS cause, 'info' AS severity, 'inferred' AS confidence, 'hop' AS role,
    concat_ws('|', 'hop', environment, broker, vhost, queue, exchange, routing_key, producer_service) AS message, NULL AS trace_id, NULL AS producer_span_id, NULL AS message_id,
    environment, broker, vhost, queue, exchange, routing_key, producer_service, NULL AS consumer_service,
    to_json({unseen: unseen, first_ns: first_ns, via: coalesce(via, [])}) AS evidence, last_ns AS event_ns, enough_ns AS facts_until_ns, batch
FROM hops;
