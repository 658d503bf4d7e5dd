-- Keys of `misrouted: stale_binding`: one queue. New deliveries touch theirs; what a service
-- declares, or that it still lives (census), touches the queues of its vhost.
SELECT DISTINCT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue) AS key
FROM came_ways d
WHERE d.queue IS NOT NULL AND (
    d.batch > $since
    OR EXISTS (SELECT 1 FROM topology_facts t WHERE t.batch > $since AND (t.vhost IS NULL OR t.vhost IS NOT DISTINCT FROM d.vhost))
    OR EXISTS (SELECT 1 FROM census c JOIN topology_facts t ON t.instance = c.instance AND t.kind = 'binding' WHERE c.batch > $since AND t.destination = d.queue));
