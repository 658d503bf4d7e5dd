-- Messages handled, by the way they took. Replies of an RPC are the call's own end, no edge.
WITH reply_names AS (
    SELECT DISTINCT reply_to AS name FROM publish_facts WHERE reply_to IS NOT NULL
), handled AS (
    SELECT p.service AS producer, d.service AS consumer, coalesce(p.broker, d.broker) AS exchange_broker, coalesce(p.vhost, d.vhost) AS exchange_vhost,
        coalesce(d.exchange, p.exchange) AS exchange, d.broker, d.vhost, d.queue, d.message, d.failed, d.trace_id, d.span_id,
        d.handled_start_ns, d.handled_end_ns,
        greatest(0, d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END) AS wait_ns
    FROM delivery_facts d
    LEFT JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
    WHERE d.received_ns BETWEEN $start_ns AND $end_ns
      AND NOT starts_with(coalesce(d.queue, ''), 'amq.rabbitmq.reply-to') AND NOT starts_with(coalesce(d.routing_key, ''), 'amq.rabbitmq.reply-to')
      AND NOT (coalesce(d.exchange, 'x') = '' AND d.routing_key IN (SELECT name FROM reply_names))
)
SELECT producer, consumer, exchange_broker, exchange_vhost, exchange, broker, vhost, queue,
    count(*) AS calls, count(DISTINCT coalesce(message, trace_id || span_id)) AS messages, count(*) FILTER (WHERE failed) AS errors,
    quantile_cont((handled_end_ns - handled_start_ns) / 1e6, 0.5) AS p50_ms,
    quantile_cont((handled_end_ns - handled_start_ns) / 1e6, 0.95) AS p95_ms,
    quantile_cont(wait_ns / 1e6, 0.95) AS queue_wait_p95_ms
FROM handled
GROUP BY ALL ORDER BY ALL;
