-- Every distinct way of a message into a touched queue: who sent what where, and who took it. What
-- died in another queue before came by that queue's arrangement, not by its sender's.
SELECT DISTINCT concat_ws('|', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue) AS key,
    d.environment, d.broker, d.vhost, d.queue, coalesce(p.exchange, d.exchange) AS exchange, coalesce(p.routing_key, d.routing_key) AS routing_key,
    p.type, p.operation, coalesce(p.source, 'spans') AS source, p.service AS producer_service, d.service AS consumer_service
FROM delivery_facts d
LEFT JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
WHERE d.death IS NULL AND d.message IS NOT NULL AND coalesce(p.routing_key, d.routing_key) IS NOT NULL
  AND coalesce(p.exchange, d.exchange) IS NOT NULL
  AND concat_ws('|', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue) IN (SELECT key FROM touched);
