-- Of each queue, what was published for it and what was delivered from it in equal steps of the time in
-- which anything was: of the messages whose delivery was seen, in the first delivery of each.
WITH firsts AS (
    SELECT queue, broker, vhost, hash(coalesce(message, trace_id || span_id), reverse(coalesce(message, trace_id || span_id))) AS m, min(received_ns) AS received_ns, min(hash(publish_trace_id, publish_span_id)) AS published
    FROM delivery_facts
    WHERE queue IS NOT NULL AND received_ns BETWEEN $start_ns AND $end_ns
    GROUP BY ALL
), timed AS (
    SELECT f.queue, f.broker, f.vhost, f.received_ns, least(coalesce(p.start_ns, f.received_ns), f.received_ns) AS published_ns
    FROM firsts f LEFT JOIN publish_facts p ON hash(p.trace_id, p.span_id) = f.published
), bounds AS (
    SELECT min(published_ns) AS from_ns, greatest(1, (max(received_ns) - min(published_ns)) // $steps + 1) AS step_ns FROM timed
), moves AS (
    SELECT queue, broker, vhost, (published_ns - from_ns) // step_ns AS step, 1 AS came, 0 AS went FROM timed, bounds
    UNION ALL
    SELECT queue, broker, vhost, (received_ns - from_ns) // step_ns AS step, 0, 1 FROM timed, bounds
)
SELECT queue, broker, vhost, step, sum(came)::BIGINT AS came, sum(went)::BIGINT AS went, (SELECT step_ns FROM bounds) AS step_ns
FROM moves GROUP BY ALL ORDER BY ALL;
