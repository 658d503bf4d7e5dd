-- Publishes of these traces that ask for a reply, and those that are one: sent to a queue that
-- somebody's request names, or that only its connection can read.
WITH sent AS (
    SELECT trace_id, span_id, nullif(exchange, '') AS exchange,
        regexp_replace(reply_to, '^(amq\.rabbitmq\.reply-to)\..*', '\1') AS reply_to,
        regexp_replace(routing_key, '^(amq\.rabbitmq\.reply-to)\..*', '\1') AS address
    FROM publish_facts
    WHERE first_batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
)
SELECT trace_id, span_id, reply_to,
    CASE WHEN exchange IS NULL AND (address = 'amq.rabbitmq.reply-to' OR starts_with(address, 'amq.gen-')
        OR address IN (SELECT reply_to FROM sent)) THEN address END AS replies_to
FROM sent
WHERE reply_to IS NOT NULL OR replies_to IS NOT NULL;
