-- Each queue that surely has a dead-letter exchange, and the ways of the messages rejected there.
SELECT d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, p.routing_headers, max(d.received_ns) AS last_ns
FROM delivery_facts d
LEFT JOIN publish_facts p ON p.message = d.message
WHERE d.settlement IN ('nack_drop', 'reject_drop') AND d.queue IS NOT NULL AND d.exchange IS NOT NULL AND d.routing_key IS NOT NULL
GROUP BY d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, p.routing_headers;
