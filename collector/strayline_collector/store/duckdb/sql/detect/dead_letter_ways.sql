-- Each queue, and the ways of the messages that were rejected there, or given back to a quorum queue, which
-- tries a message so often only.
SELECT d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, p.routing_headers, max(d.received_ns) AS last_ns
FROM delivery_facts d
LEFT JOIN publish_facts p ON p.message = d.message
WHERE (d.settlement IN ('nack_drop', 'reject_drop') OR d.settlement IN ('nack_requeue', 'reject_requeue') AND d.delivery_count IS NOT NULL) AND d.queue IS NOT NULL AND d.exchange IS NOT NULL AND d.routing_key IS NOT NULL
GROUP BY d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, p.routing_headers;
