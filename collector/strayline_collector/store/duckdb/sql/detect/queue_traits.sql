-- What is known of each queue: its arguments, as declared, and what policies add to them. A queue
-- that nobody told of is not here. A broker agrees to other arguments only once the queue is gone: where shims
-- declared several, each life has its row, from `from_ns` to `to_ns`; nearly every queue has one row, for all time.
-- Prepared once for all detectors.
WITH told AS (
    SELECT environment, broker, vhost, name, source, seen_ns, durable,
        coalesce(arguments->>'$."x-queue-type"', '') = 'stream' AS is_stream,
        coalesce(arguments->>'$."x-queue-type"', '') = 'quorum' AS is_quorum,
        coalesce(TRY_CAST(arguments->>'$."x-single-active-consumer"' AS BOOLEAN), false) AS single_active,
        TRY_CAST(arguments->>'$."x-max-priority"' AS INTEGER) AS max_priority,
        TRY_CAST(arguments->>'$."x-message-ttl"' AS UINTEGER)::BIGINT AS ttl_ms,
        TRY_CAST(arguments->>'$."x-max-length"' AS BIGINT) AS max_length,
        TRY_CAST(arguments->>'$."x-max-length-bytes"' AS BIGINT) AS max_length_bytes,
        arguments->>'$."x-overflow"' AS overflow,
        TRY_CAST(arguments->>'$."x-delivery-limit"' AS BIGINT) AS delivery_limit,
        arguments->>'$."x-dead-letter-exchange"' AS dead_letter_exchange,
        arguments->>'$."x-dead-letter-routing-key"' AS dead_letter_key,
        coalesce(auto_delete, false) OR coalesce(exclusive, false) OR (arguments->>'$."x-expires"') IS NOT NULL AS short_lived
    FROM topology_facts WHERE kind = 'queue' AND action = 'declare' AND json_valid(coalesce(arguments, '{}'))
), changes AS (
    SELECT environment, broker, vhost, name, seen_ns, before_ns FROM (
        SELECT *, lag(seen_ns) OVER of_queue AS before_ns, lag(traits) OVER of_queue AS traits_before
        FROM (
            SELECT environment, broker, vhost, name, seen_ns, {t: is_stream, q: is_quorum, a: single_active, p: max_priority, ttl: ttl_ms, l: max_length, b: max_length_bytes,
                o: overflow, d: delivery_limit, x: dead_letter_exchange, k: dead_letter_key, s: short_lived} AS traits
            FROM told WHERE source = 'shim'
        )
        WINDOW of_queue AS (PARTITION BY environment, broker, vhost, name ORDER BY seen_ns, CAST(traits AS VARCHAR))
    ) WHERE before_ns IS NOT NULL AND traits IS DISTINCT FROM traits_before
), starts AS (         -- what was still in it went with it
    SELECT environment, broker, vhost, name, 0::BIGINT AS from_ns FROM told
    UNION
    SELECT c.environment, c.broker, c.vhost, c.name, coalesce(max(g.seen_ns), c.seen_ns)
    FROM changes c LEFT JOIN topology_facts g ON g.kind = 'queue' AND g.action = 'delete' AND g.name = c.name AND g.broker IS NOT DISTINCT FROM c.broker
        AND g.vhost IS NOT DISTINCT FROM c.vhost AND g.environment IS NOT DISTINCT FROM c.environment AND g.seen_ns BETWEEN c.before_ns AND c.seen_ns
    GROUP BY c.environment, c.broker, c.vhost, c.name, c.seen_ns
), lives AS (
    SELECT *, coalesce(lead(from_ns) OVER (PARTITION BY environment, broker, vhost, name ORDER BY from_ns) - 1, 9223372036854775807) AS to_ns FROM starts
), declared AS (
    SELECT t.environment, t.broker, t.vhost, t.name, l.from_ns, l.to_ns, bool_or(is_stream) AS is_stream, bool_or(is_quorum) AS is_quorum, bool_or(single_active) AS single_active,
        max(max_priority) AS max_priority, min(ttl_ms) AS ttl_ms, min(max_length) AS max_length, min(max_length_bytes) AS max_length_bytes, max(overflow) AS overflow,
        min(delivery_limit) AS delivery_limit, max(dead_letter_exchange) AS dead_letter_exchange, max(dead_letter_key) AS dead_letter_key,
        bool_or(durable) AS durable, bool_or(short_lived) AS short_lived, min(seen_ns) AS declared_ns
    FROM told t JOIN lives l ON l.name = t.name AND l.broker IS NOT DISTINCT FROM t.broker AND l.vhost IS NOT DISTINCT FROM t.vhost
        AND l.environment IS NOT DISTINCT FROM t.environment AND t.seen_ns BETWEEN l.from_ns AND l.to_ns
    GROUP BY ALL
), policies AS (
    SELECT broker, vhost, coalesce(type, 'all') AS applies, arguments->>'$.pattern' AS pattern,
        coalesce(TRY_CAST(arguments->>'$.priority' AS INTEGER), 0) AS rank, arguments->'$.definition' AS definition
    FROM topology_facts WHERE kind = 'policy' AND action = 'declare' AND json_valid(coalesce(arguments, '{}'))
), governed AS (   -- of several policies that match, the one with the highest priority alone holds
    SELECT d.*, p.definition
    FROM declared d LEFT JOIN policies p ON p.applies IN ('all', 'queues', CASE WHEN d.is_stream THEN 'streams' WHEN d.is_quorum THEN 'quorum_queues' ELSE 'classic_queues' END)
        AND (p.broker IS NULL OR d.broker IS NULL OR p.broker = d.broker) AND p.vhost IS NOT DISTINCT FROM d.vhost
        AND TRY(regexp_matches(d.name, p.pattern))
    QUALIFY row_number() OVER (PARTITION BY d.environment, d.broker, d.vhost, d.name, d.from_ns ORDER BY p.rank DESC NULLS LAST, CAST(p.definition AS VARCHAR)) = 1
)
SELECT * EXCLUDE (definition) REPLACE (
    least(ttl_ms, TRY_CAST(definition->>'$."message-ttl"' AS UINTEGER)::BIGINT) AS ttl_ms,
    least(max_length, TRY_CAST(definition->>'$."max-length"' AS BIGINT)) AS max_length,
    least(max_length_bytes, TRY_CAST(definition->>'$."max-length-bytes"' AS BIGINT)) AS max_length_bytes,
    coalesce(overflow, definition->>'$.overflow') AS overflow,
    CASE WHEN is_quorum THEN least(delivery_limit, TRY_CAST(definition->>'$."delivery-limit"' AS BIGINT)) END AS delivery_limit,
    coalesce(dead_letter_exchange, definition->>'$."dead-letter-exchange"') AS dead_letter_exchange,
    coalesce(dead_letter_key, definition->>'$."dead-letter-routing-key"') AS dead_letter_key
)
FROM governed;
