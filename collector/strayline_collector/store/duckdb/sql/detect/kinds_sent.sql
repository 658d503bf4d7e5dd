-- Names are hashed backwards too: one text's hash in DuckDB is the same for some names that differ in two places.
-- Every kind of message (detect/outlier.sql), and whether it went more than one way; as `sent_ways`.
SELECT message_kind, min(least_way) AS least_way, max(greatest_way) AS greatest_way
FROM (
    SELECT (hash(environment, service, type IS NULL, coalesce(type, operation)) >> 1)::BIGINT AS message_kind,
        min((hash(exchange, routing_key, reverse(routing_key)) >> 1)::BIGINT) AS least_way, max((hash(exchange, routing_key, reverse(routing_key)) >> 1)::BIGINT) AS greatest_way
    FROM (
        SELECT DISTINCT environment, service, type, CASE WHEN type IS NULL THEN operation END AS operation, exchange, routing_key
        FROM publish_facts
        WHERE batch > $since AND exchange IS NOT NULL AND routing_key IS NOT NULL
    )
    WHERE NOT starts_with(routing_key, 'amq.rabbitmq.reply-to') AND NOT starts_with(routing_key, 'amq.gen-')
    GROUP BY 1
    UNION ALL
    SELECT * FROM kinds_sent
)
GROUP BY message_kind;
