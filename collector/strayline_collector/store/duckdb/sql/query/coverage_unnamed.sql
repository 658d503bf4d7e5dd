-- What was handled from queues that no span names.
SELECT environment, broker, vhost, exchange, service AS consumer_service, count(*) AS deliveries, count(DISTINCT coalesce(message, span_id)) AS messages,
    count(*) FILTER (WHERE publish_span_id IS NOT NULL) AS joined_up
FROM delivery_facts
WHERE queue IS NULL
GROUP BY environment, broker, vhost, exchange, service
ORDER BY ALL;
