-- Rows of `message_minutes` of the deliveries that `came`, and of the publishes of the same loads and
-- minutes. A delivery counts as a message where none of it came before, of which the broker's flag
-- tells most; a request whose context was lost is known by what was answered.
WITH answered AS (
    SELECT d.trace_id, d.span_id, any_value(l.to_trace_id) AS to_trace_id, any_value(l.to_span_id) AS to_span_id
    FROM came d JOIN span_links l ON l.batch = d.first_batch AND l.trace_id = d.trace_id AND l.span_id = d.span_id
    WHERE d.publish_span_id IS NULL AND d.context_trace_id IS NULL AND d.correlation_id IS NOT NULL
    GROUP BY ALL HAVING count(*) = 1
), named AS MATERIALIZED (
    SELECT d.*, coalesce(d.publish_trace_id, a.to_trace_id) AS sent_trace_id, coalesce(d.publish_span_id, a.to_span_id) AS sent_span_id
    FROM came d LEFT JOIN answered a ON a.trace_id = d.trace_id AND a.span_id = d.span_id
), sender AS MATERIALIZED (
    SELECT trace_id, span_id, service, broker, vhost, exchange, start_ns, end_ns FROM publish_facts
    WHERE first_batch >= $since AND trace_id IN (SELECT sent_trace_id FROM named)
), suspect AS (
    SELECT message, queue, service, received_ns, span_id FROM came WHERE redelivered IS DISTINCT FROM false AND message IS NOT NULL
), earlier AS (
    SELECT message, queue, service, received_ns, span_id FROM delivery_facts WHERE received_ns BETWEEN $new_from - 600_000_000_000 AND $new_to
    UNION ALL
    SELECT message, queue, service, received_ns, span_id FROM delivery_facts WHERE received_ns BETWEEN $from_1 - 600_000_000_000 AND $to_1
    UNION ALL
    SELECT message, queue, service, received_ns, span_id FROM delivery_facts WHERE received_ns BETWEEN $from_2 - 600_000_000_000 AND $to_2
), repeated AS (
    SELECT DISTINCT s.span_id, s.received_ns
    FROM suspect s JOIN earlier e ON e.message = s.message AND e.queue IS NOT DISTINCT FROM s.queue AND e.service = s.service
    WHERE (e.received_ns, e.span_id) < (s.received_ns, s.span_id)
), handled AS MATERIALIZED (
    SELECT d.minute, p.service AS producer, d.service AS consumer, coalesce(p.broker, d.broker) AS exchange_broker, coalesce(p.vhost, d.vhost) AS exchange_vhost,
        coalesce(d.exchange, p.exchange) AS exchange, d.broker, d.vhost, d.queue, CASE WHEN d.exchange = '' THEN d.routing_key END AS address,
        d.failed, r.span_id IS NULL AS first,
        CASE WHEN d.handled_end_ns >= d.handled_start_ns THEN bucket_of(d.handled_end_ns - d.handled_start_ns) END AS took,
        CASE WHEN p.end_ns IS NOT NULL AND d.handled_start_ns IS NOT NULL
            THEN bucket_of(d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END) END AS waited
    FROM named d
    LEFT JOIN sender p ON p.trace_id = d.sent_trace_id AND p.span_id = d.sent_span_id
    LEFT JOIN repeated r ON r.span_id = d.span_id AND r.received_ns = d.received_ns
), published AS (
    SELECT * FROM publish_facts WHERE first_batch > $rolled AND first_batch <= $until
    UNION ALL
    SELECT * FROM publish_facts WHERE first_batch <= $rolled AND start_ns BETWEEN $from_1 AND $to_1
    UNION ALL
    SELECT * FROM publish_facts WHERE first_batch <= $rolled AND start_ns BETWEEN $from_2 AND $to_2
), sent AS (
    SELECT start_ns // 60_000_000_000 AS minute, service AS producer, broker AS exchange_broker, vhost AS exchange_vhost, exchange,
        CASE WHEN exchange = '' THEN routing_key END AS address, coalesce(outcome IN ('returned', 'nacked'), false) AS failed,
        bucket_of(end_ns - start_ns) AS took
    FROM published
    WHERE start_ns BETWEEN $start_ns AND $end_ns AND (first_batch > $rolled OR start_ns // 60_000_000_000 IN (SELECT minute FROM again))
      AND exchange IS NOT NULL AND NOT starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to')
      AND NOT (exchange = '' AND correlation_id IS NOT NULL AND starts_with(coalesce(routing_key, ''), 'amq.gen-'))
)
SELECT minute, 'published' AS told, producer, NULL::VARCHAR AS consumer, exchange_broker, exchange_vhost, exchange, NULL::VARCHAR AS broker, NULL::VARCHAR AS vhost,
    NULL::VARCHAR AS queue, address, took AS bucket, count(*) AS calls, count(*) AS messages, count(*) FILTER (WHERE failed) AS errors
FROM sent GROUP BY ALL
UNION ALL
SELECT minute, 'handled', producer, consumer, exchange_broker, exchange_vhost, exchange, broker, vhost, queue, address, took,
    count(*), count(*) FILTER (WHERE first), count(*) FILTER (WHERE failed)
FROM handled GROUP BY ALL
UNION ALL
SELECT minute, 'waited', producer, consumer, exchange_broker, exchange_vhost, exchange, broker, vhost, queue, address, waited, count(*), 0, 0
FROM handled WHERE waited IS NOT NULL GROUP BY ALL;
