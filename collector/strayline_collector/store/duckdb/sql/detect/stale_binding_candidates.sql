-- Every distinct way by which messages may have come into a touched queue, with the times of its publishes. More
-- than there were, perhaps: whether a message came by one is asked of the facts.
SELECT concat_ws('|', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue) AS key,
    d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, p.routing_headers,
    min(p.first_ns) AS first_ns, max(p.last_ns) AS last_ns
FROM came_ways d JOIN sent_ways p ON p.exchange = d.exchange AND p.routing_key = d.routing_key
WHERE NOT d.died AND d.queue IS NOT NULL AND d.exchange <> ''
  AND concat_ws('|', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue) IN (SELECT key FROM touched)
GROUP BY ALL;
