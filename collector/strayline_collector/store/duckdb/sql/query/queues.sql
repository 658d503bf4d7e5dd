WITH joined AS (
    SELECT d.*, p.service AS producer, greatest(0, d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END) / 1e6 AS wait_ms
    FROM delivery_facts d LEFT JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
    WHERE d.queue IS NOT NULL AND d.received_ns BETWEEN $start_ns AND $end_ns
), late AS (
    SELECT queue, broker, vhost, count(DISTINCT message) AS late FROM verdicts WHERE kind = 'reordered' AND role = 'late' AND event_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL
), found AS (
    SELECT queue, broker, vhost, count(*) AS findings, arg_min(severity, CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END) AS worst_severity FROM findings WHERE status <> 'retracted' AND queue IS NOT NULL GROUP BY ALL
)
SELECT j.queue AS name, j.broker, j.vhost, count(DISTINCT coalesce(j.message, j.trace_id || j.span_id)) AS messages, count(*) AS deliveries, count(*) FILTER (WHERE j.failed) AS errors,
    count(DISTINCT coalesce(j.message, j.trace_id || j.span_id)) FILTER (WHERE j.redelivered OR j.settlement IN ('nack_requeue', 'reject_requeue')) AS redelivered,
    coalesce(any_value(l.late), 0) AS late, coalesce(any_value(f.findings), 0) AS findings, any_value(f.worst_severity) AS worst_severity,
    quantile_cont(j.wait_ms, 0.5) AS wait_p50_ms, quantile_cont(j.wait_ms, 0.95) AS wait_p95_ms,
    quantile_cont((j.handled_end_ns - j.handled_start_ns) / 1e6, 0.95) AS handle_p95_ms,
    list_sort(list(DISTINCT j.service)) AS consumers, coalesce(list_sort(list(DISTINCT j.producer) FILTER (WHERE j.producer IS NOT NULL)), []) AS producers
FROM joined j
LEFT JOIN late l ON l.queue = j.queue AND l.broker IS NOT DISTINCT FROM j.broker AND l.vhost IS NOT DISTINCT FROM j.vhost
LEFT JOIN found f ON f.queue = j.queue AND f.broker IS NOT DISTINCT FROM j.broker AND f.vhost IS NOT DISTINCT FROM j.vhost
GROUP BY j.queue, j.broker, j.vhost
ORDER BY deliveries DESC, name
LIMIT $limit OFFSET $offset;
