-- Every way of publishing that was seen, with the times of its first and last publish: those of the loads
-- after `$since`, and `sent_ways`, what was known before. `told`: their success was. A way stays, also
-- where its messages have gone or turned out otherwise: what it leads to is always asked of the facts.
SELECT environment, broker, vhost, exchange, routing_key, routing_headers, told, min(first_ns) AS first_ns, max(last_ns) AS last_ns, sum(messages)::BIGINT AS messages
FROM (
    SELECT environment, broker, vhost, exchange, routing_key, routing_headers, coalesce(outcome IN ('confirmed', 'committed') AND delay_ms IS NULL, false) AS told,
        min(start_ns) AS first_ns, max(start_ns) AS last_ns, count(*) AS messages
    FROM publish_facts WHERE batch > $since AND exchange IS NOT NULL AND routing_key IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT * FROM sent_ways
)
GROUP BY ALL;
