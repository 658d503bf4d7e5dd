-- The messages to show: all of the window when they fit; else the latest ones, the worst first, and
-- an even sample of the others.
WITH picked AS (
    FROM (
        SELECT position, sequence, m, received_ns, at_ns, again, cause, extent, true AS late FROM late
        ORDER BY extent DESC, position LIMIT $late_most
    ) UNION ALL
    SELECT position, sequence, m, received_ns, at_ns, again, NULL, 0, false FROM (FROM arranged WHERE (position - $from) % $every = 0) a
    WHERE position NOT IN (SELECT position FROM late)
), facts AS (
    SELECT * FROM delivery_facts
    WHERE queue = $queue AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost)
      AND received_ns BETWEEN (SELECT min(received_ns) FROM picked) AND (SELECT max(received_ns) FROM picked)
      AND received_ns IN (SELECT received_ns FROM picked)
)
SELECT k.position, k.sequence, k.late, k.extent, k.cause, k.again AS redelivered, k.at_ns, d.publish_trace_id, d.publish_span_id, d.message_id, d.routing_key, d.service AS consumer_service,
    d.trace_id, d.span_id, d.settlement
FROM picked k JOIN facts d ON d.received_ns = k.received_ns AND (hash(coalesce(d.message, d.trace_id || d.span_id), reverse(coalesce(d.message, d.trace_id || d.span_id))) >> 1)::BIGINT = k.m
ORDER BY k.position, d.span_id;
