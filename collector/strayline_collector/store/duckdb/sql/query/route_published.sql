-- What was published, by exchange and key, wherever a queue's messages may have come from.
SELECT exchange, routing_key, count(*) AS published, count(*) FILTER (WHERE outcome = 'returned') AS returned, min(start_ns) AS first_ns, max(start_ns) AS last_ns
FROM publish_facts
WHERE exchange IS NOT NULL AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost) AND start_ns BETWEEN $start_ns AND $end_ns
GROUP BY ALL ORDER BY published DESC, exchange, routing_key LIMIT $limit;
