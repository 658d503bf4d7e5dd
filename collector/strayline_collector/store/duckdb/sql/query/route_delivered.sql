-- Where it arrived.
SELECT exchange, routing_key, queue, count(DISTINCT coalesce(message, trace_id || span_id)) AS messages, min(received_ns) AS first_ns, max(received_ns) AS last_ns
FROM delivery_facts
WHERE queue IS NOT NULL AND exchange IS NOT NULL AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost) AND received_ns BETWEEN $start_ns AND $end_ns
GROUP BY ALL ORDER BY messages DESC, exchange, routing_key, queue LIMIT $limit;
