-- Messages of which the loads after `$since` tell, or no longer tell, that they are retries: all that share an
-- exchange, key and process with a publish of unknown outcome, and its message id or body.
WITH doubtful AS (
    SELECT * FROM publish_facts WHERE n IS NOT NULL AND (outcome = 'unknown' OR (outcome = 'returned' AND batch > $since))
), told AS (
    SELECT DISTINCT u.epoch, u.broker, u.vhost, u.exchange, u.routing_key
    FROM publish_facts p
    JOIN doubtful u ON u.epoch = p.epoch AND u.broker IS NOT DISTINCT FROM p.broker AND u.vhost IS NOT DISTINCT FROM p.vhost
        AND u.exchange = p.exchange AND u.routing_key = p.routing_key AND (u.message_id = p.message_id OR u.body_hash = p.body_hash)
    WHERE p.n IS NOT NULL AND (p.batch > $since OR u.batch > $since)
)
SELECT DISTINCT q.k, p.channel AS c, p.n
FROM doubtful u
JOIN told t ON t.epoch = u.epoch AND t.broker IS NOT DISTINCT FROM u.broker AND t.vhost IS NOT DISTINCT FROM u.vhost AND t.exchange = u.exchange AND t.routing_key = u.routing_key
JOIN publish_facts p ON p.epoch = u.epoch AND p.broker IS NOT DISTINCT FROM u.broker AND p.vhost IS NOT DISTINCT FROM u.vhost
    AND p.exchange = u.exchange AND p.routing_key = u.routing_key AND (u.message_id = p.message_id OR u.body_hash = p.body_hash)
JOIN order_keys q ON q.producer = p.epoch
WHERE p.n IS NOT NULL;
