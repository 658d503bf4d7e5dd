-- Messages handled, by the way they took. Replies of an RPC are the call's own end, no edge: what
-- comes to an address at whoever named it, or to a queue of one connection alone. A request whose
-- context was lost is known by what was answered.
WITH reply_names AS (
    SELECT DISTINCT reply_to AS name, service FROM publish_facts WHERE reply_to IS NOT NULL
), answered AS (
    SELECT d.trace_id, d.span_id, any_value(l.to_trace_id) AS to_trace_id, any_value(l.to_span_id) AS to_span_id
    FROM delivery_facts d JOIN span_links l ON l.batch = d.first_batch AND l.trace_id = d.trace_id AND l.span_id = d.span_id
    WHERE d.received_ns BETWEEN $start_ns AND $end_ns AND d.publish_span_id IS NULL AND d.context_trace_id IS NULL AND d.correlation_id IS NOT NULL
    GROUP BY ALL HAVING count(*) = 1
), handled AS (
    SELECT p.service AS producer, d.service AS consumer, coalesce(p.broker, d.broker) AS exchange_broker, coalesce(p.vhost, d.vhost) AS exchange_vhost,
        coalesce(d.exchange, p.exchange) AS exchange, d.broker, d.vhost, d.queue, d.message, d.failed, d.trace_id, d.span_id,
        d.handled_start_ns, d.handled_end_ns,
        greatest(0, d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END) AS wait_ns
    FROM delivery_facts d
    LEFT JOIN answered a ON a.trace_id = d.trace_id AND a.span_id = d.span_id
    LEFT JOIN publish_facts p ON p.trace_id = coalesce(d.publish_trace_id, a.to_trace_id) AND p.span_id = coalesce(d.publish_span_id, a.to_span_id)
    WHERE d.received_ns BETWEEN $start_ns AND $end_ns
      AND NOT starts_with(coalesce(d.queue, ''), 'amq.rabbitmq.reply-to') AND NOT starts_with(coalesce(d.routing_key, ''), 'amq.rabbitmq.reply-to')
      AND NOT (coalesce(d.exchange, 'x') = '' AND ((d.routing_key, d.service) IN (SELECT (name, service) FROM reply_names)
          OR d.correlation_id IS NOT NULL AND starts_with(coalesce(d.routing_key, ''), 'amq.gen-')))
)
SELECT producer, consumer, exchange_broker, exchange_vhost, exchange, broker, vhost, queue,
    count(*) AS calls, count(DISTINCT coalesce(message, trace_id || span_id)) AS messages, count(*) FILTER (WHERE failed) AS errors,
    quantile_cont((handled_end_ns - handled_start_ns) / 1e6, 0.5) AS p50_ms,
    quantile_cont((handled_end_ns - handled_start_ns) / 1e6, 0.95) AS p95_ms,
    quantile_cont(wait_ns / 1e6, 0.95) AS queue_wait_p95_ms
FROM handled
GROUP BY ALL ORDER BY ALL;
