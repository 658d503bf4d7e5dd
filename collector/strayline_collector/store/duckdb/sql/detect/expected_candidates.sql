-- Every distinct way of publishing whose success was told, with its times.
SELECT environment, broker, vhost, exchange, routing_key, routing_headers, min(start_ns) AS first_ns, max(start_ns) AS last_ns
FROM publish_facts
WHERE outcome IN ('confirmed', 'committed') AND exchange IS NOT NULL AND routing_key IS NOT NULL AND delay_ms IS NULL
  AND NOT starts_with(routing_key, 'amq.')
GROUP BY ALL;
