-- Publishes of these traces that ask for a reply, and those that are one: sent to a queue that
-- somebody's request names, or that only its connection can read.
WITH sent AS (
    SELECT trace_id, span_id, nullif(exchange, '') AS exchange,
        regexp_replace(reply_to, '^(amq\.rabbitmq\.reply-to)\..*', '\1') AS reply_to,
        regexp_replace(routing_key, '^(amq\.rabbitmq\.reply-to)\..*', '\1') AS address
    FROM publish_facts
    WHERE first_batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
)
SELECT trace_id, span_id, NULL AS answers, reply_to,
    CASE WHEN exchange IS NULL AND (address = 'amq.rabbitmq.reply-to' OR starts_with(address, 'amq.gen-')
        OR address IN (SELECT reply_to FROM sent)) THEN address END AS replies_to
FROM sent
WHERE reply_to IS NOT NULL OR replies_to IS NOT NULL
UNION ALL
-- what came without context, and answers or serves a request: links that no span told
SELECT d.trace_id, d.span_id, to_json(list({trace_id: l.to_trace_id, span_id: l.to_span_id} ORDER BY p.instance IS NOT DISTINCT FROM d.instance, p.start_ns DESC, l.to_trace_id, l.to_span_id))::VARCHAR, NULL, NULL
FROM delivery_facts d
JOIN span_links l ON l.batch BETWEEN $first_batch AND $last_batch AND l.trace_id = d.trace_id AND l.span_id = d.span_id
LEFT JOIN publish_facts p ON p.trace_id = l.to_trace_id AND p.span_id = l.to_span_id
WHERE d.first_batch BETWEEN $first_batch AND $last_batch AND d.trace_id IN (SELECT trace_id FROM found) AND d.context_trace_id IS NULL AND d.correlation_id IS NOT NULL
GROUP BY d.trace_id, d.span_id;
