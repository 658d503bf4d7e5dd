-- What is known of each queue: its arguments, as declared, and what policies add to them. A queue
-- that nobody told of is not here. Prepared once for all detectors.
WITH declared AS (
    SELECT environment, broker, vhost, name,
        bool_or(coalesce(arguments->>'$."x-queue-type"', '') = 'stream') AS is_stream,
        bool_or(coalesce(arguments->>'$."x-queue-type"', '') = 'quorum') AS is_quorum,
        bool_or(coalesce(TRY_CAST(arguments->>'$."x-single-active-consumer"' AS BOOLEAN), false)) AS single_active,
        max(TRY_CAST(arguments->>'$."x-max-priority"' AS INTEGER)) AS max_priority,
        min(TRY_CAST(arguments->>'$."x-message-ttl"' AS UINTEGER))::BIGINT AS ttl_ms,
        min(TRY_CAST(arguments->>'$."x-max-length"' AS BIGINT)) AS max_length,
        min(TRY_CAST(arguments->>'$."x-max-length-bytes"' AS BIGINT)) AS max_length_bytes,
        max(arguments->>'$."x-overflow"') AS overflow,
        min(TRY_CAST(arguments->>'$."x-delivery-limit"' AS BIGINT)) AS delivery_limit,
        max(arguments->>'$."x-dead-letter-exchange"') AS dead_letter_exchange,
        max(arguments->>'$."x-dead-letter-routing-key"') AS dead_letter_key,
        bool_or(durable) AS durable, bool_or(coalesce(auto_delete, false) OR coalesce(exclusive, false) OR (arguments->>'$."x-expires"') IS NOT NULL) AS short_lived,
        min(seen_ns) AS declared_ns
    FROM topology_facts WHERE kind = 'queue' AND action = 'declare' AND json_valid(coalesce(arguments, '{}'))
    GROUP BY environment, broker, vhost, name
), policies AS (
    SELECT broker, vhost, coalesce(type, 'all') AS applies, arguments->>'$.pattern' AS pattern,
        coalesce(TRY_CAST(arguments->>'$.priority' AS INTEGER), 0) AS rank, arguments->'$.definition' AS definition
    FROM topology_facts WHERE kind = 'policy' AND action = 'declare' AND json_valid(coalesce(arguments, '{}'))
), governed AS (   -- of several policies that match, the one with the highest priority alone holds
    SELECT d.*, p.definition
    FROM declared d LEFT JOIN policies p ON p.applies IN ('all', 'queues', 'classic_queues', 'quorum_queues')
        AND (p.broker IS NULL OR d.broker IS NULL OR p.broker = d.broker) AND p.vhost IS NOT DISTINCT FROM d.vhost
        AND TRY(regexp_matches(d.name, p.pattern))
    QUALIFY row_number() OVER (PARTITION BY d.environment, d.broker, d.vhost, d.name ORDER BY p.rank DESC NULLS LAST, CAST(p.definition AS VARCHAR)) = 1
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
