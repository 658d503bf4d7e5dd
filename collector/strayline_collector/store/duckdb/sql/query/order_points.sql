-- The messages to show: all of the window when they fit; else the latest ones, the worst first, and
-- an even sample of the others.
WITH shown AS (
    SELECT a.*, l.cause, coalesce(l.extent, 0) AS extent, l.m IS NOT NULL AS late, row_number() OVER (PARTITION BY l.m IS NOT NULL ORDER BY l.extent DESC, a.position) - 1 AS place
    FROM arranged a LEFT JOIN late l ON l.m = a.m
    WHERE a.position BETWEEN $from AND $to
), picked AS (
    FROM shown WHERE CASE WHEN late THEN place < $late_most ELSE place % $every = 0 END
), facts AS (
    SELECT * FROM delivery_facts
    WHERE queue = $queue AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost)
      AND received_ns BETWEEN (SELECT min(received_ns) FROM picked) AND (SELECT max(received_ns) FROM picked)
      AND received_ns IN (SELECT received_ns FROM picked)
)
SELECT k.position, k.sequence, k.late, k.extent, k.cause, k.again AS redelivered, k.at_ns, d.publish_trace_id, d.publish_span_id, d.message_id, d.routing_key, d.service AS consumer_service,
    d.trace_id, d.span_id, d.settlement
FROM picked k JOIN facts d ON d.received_ns = k.received_ns AND hash(coalesce(d.message, d.trace_id || d.span_id)) = k.m
ORDER BY k.position, d.span_id;
