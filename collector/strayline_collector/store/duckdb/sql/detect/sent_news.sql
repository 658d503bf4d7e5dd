-- What the loads after `$since` tell of publishes, by way and kind of message: the history is read once for all that is made
-- of it (detect/digest.py). `told`: their success was. `message_kind`: see detect/outlier.sql; `least_way`, `greatest_way`: which
-- way it went, null where that says nothing. The rest: whether something happened that some detectors speak of.
-- Names are hashed backwards too: one text's hash in DuckDB is the same for some names that differ in two places.
SELECT environment, broker, vhost, exchange, routing_key, routing_headers, coalesce(outcome IN ('confirmed', 'committed') AND NOT delayed, false) AS told,
    first_ns, last_ns, messages, (hash(environment, service, type IS NULL, coalesce(type, operation)) >> 1)::BIGINT AS message_kind,
    CASE WHEN exchange IS NOT NULL AND NOT starts_with(routing_key, 'amq.rabbitmq.reply-to') AND NOT starts_with(routing_key, 'amq.gen-')
        THEN (hash(exchange, routing_key, reverse(routing_key)) >> 1)::BIGINT END AS least_way, least_way AS greatest_way,
    coalesce(outcome = 'returned', false) AS returned, coalesce(outcome = 'unknown', false) AS doubtful, spoken
FROM (
    SELECT environment, broker, vhost, exchange, routing_key, routing_headers, service, type, CASE WHEN type IS NULL THEN operation END AS operation,
        outcome, delay_ms IS NOT NULL AS delayed, min(start_ns) AS first_ns, max(start_ns) AS last_ns, count(*) AS messages,
        bool_or(source = 'spans' AND message_id IS NOT NULL) AS spoken
    FROM publish_facts WHERE batch > $since
    GROUP BY ALL
);
