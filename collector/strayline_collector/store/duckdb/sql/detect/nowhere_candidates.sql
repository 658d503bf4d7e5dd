-- Every distinct exchange and key, with the times of its publishes.
SELECT environment, broker, vhost, exchange, routing_key, routing_headers, min(start_ns) AS first_ns, max(start_ns) AS last_ns
FROM publish_facts
WHERE exchange IS NOT NULL AND routing_key IS NOT NULL
GROUP BY ALL;
