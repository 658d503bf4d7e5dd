-- Names are hashed backwards too: one text's hash in DuckDB is the same for some names that differ in two places.
-- Every way of publishing that was seen, with the times of its first and last publish: those of the loads
-- after `$since`, and `sent_ways`, what was known before. `told`: their success was. A way stays, also
-- where its messages have gone or turned out otherwise: what it leads to is always asked of the facts.
WITH fresh AS (
    SELECT any_value(environment) AS environment, any_value(broker) AS broker, any_value(vhost) AS vhost, any_value(exchange) AS exchange,
        any_value(routing_key) AS routing_key, any_value(routing_headers) AS routing_headers, told, min(start_ns) AS first_ns, max(start_ns) AS last_ns, count(*) AS messages
    FROM (
        SELECT *, coalesce(outcome IN ('confirmed', 'committed') AND delay_ms IS NULL, false) AS told FROM publish_facts
        WHERE batch > $since AND exchange IS NOT NULL AND routing_key IS NOT NULL
    )
    GROUP BY told, hash(environment, broker, vhost, exchange, routing_key, routing_headers, reverse(routing_key))
)
SELECT environment, broker, vhost, exchange, routing_key, routing_headers, told, min(first_ns) AS first_ns, max(last_ns) AS last_ns, sum(messages)::BIGINT AS messages
FROM (SELECT * FROM fresh UNION ALL SELECT * FROM sent_ways)
GROUP BY ALL;
