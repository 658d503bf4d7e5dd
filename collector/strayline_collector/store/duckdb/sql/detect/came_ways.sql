-- Every way by which messages were delivered, as `sent_ways`; `died`: after they had died somewhere; `batch`: the last load that told of it.
SELECT environment, broker, vhost, queue, exchange, routing_key, died, max(batch) AS batch
FROM (
    SELECT environment, broker, vhost, queue, exchange, routing_key, death IS NOT NULL AS died, max(batch) AS batch
    FROM delivery_facts WHERE batch > $since GROUP BY ALL
    UNION ALL
    SELECT * FROM came_ways
)
GROUP BY ALL;
