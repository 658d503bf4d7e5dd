-- Publishes whose outcome nobody knows, and those of the same process, vhost, exchange and key that
-- share a message id or a body with one: among them are retries.
SELECT DISTINCT p.message, p.epoch, p.broker, p.vhost, p.exchange, p.routing_key, p.channel, p.n, p.message_id, p.body_hash, p.outcome, p.start_ns, p.end_ns
FROM publish_facts p
JOIN publish_facts u ON u.outcome = 'unknown' AND u.n IS NOT NULL AND u.epoch = p.epoch AND u.broker IS NOT DISTINCT FROM p.broker AND u.vhost IS NOT DISTINCT FROM p.vhost
    AND u.exchange = p.exchange AND u.routing_key = p.routing_key
    AND (u.message_id = p.message_id OR u.body_hash = p.body_hash)
WHERE p.n IS NOT NULL;
