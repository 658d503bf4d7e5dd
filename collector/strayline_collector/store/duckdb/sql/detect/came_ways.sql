-- Names are hashed backwards too: one text's hash in DuckDB is the same for some names that differ in two places.
-- Every way by which messages were delivered, as `sent_ways`; `died`: after they had died somewhere.
WITH fresh AS (
    SELECT any_value(environment) AS environment, any_value(broker) AS broker, any_value(vhost) AS vhost, any_value(queue) AS queue,
        any_value(exchange) AS exchange, any_value(routing_key) AS routing_key, death IS NOT NULL AS died
    FROM delivery_facts WHERE batch > $since
    GROUP BY death IS NOT NULL, hash(environment, broker, vhost, queue, exchange, routing_key, reverse(queue), reverse(routing_key))
)
SELECT DISTINCT * FROM (SELECT * FROM fresh UNION ALL SELECT * FROM came_ways);
