-- Replies over AMQP that came without context, and requests that were handled without: who asked is
-- known by the correlation id and the address that the reply goes to. A reply continues the publish
-- that sent it and the request's; a handler that sent the reply to a request had that request.
WITH said AS (
    SELECT *, starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to') AS direct FROM publish_facts
    WHERE first_batch >= $since AND correlation_id IS NOT NULL
), addresses AS (
    SELECT reply_to, max(batch) AS batch FROM said WHERE reply_to IS NOT NULL AND NOT starts_with(reply_to, 'amq.rabbitmq.reply-to') GROUP BY reply_to
), reply AS (
    SELECT * FROM said
    WHERE coalesce(exchange, '') = '' AND (direct OR starts_with(routing_key, 'amq.gen-') OR routing_key IN (SELECT reply_to FROM addresses))
), request AS (  -- stock instrumentations do not say where the reply goes
    SELECT * FROM said
    WHERE (reply_to IS NOT NULL OR source = 'spans') AND (trace_id, span_id) NOT IN (SELECT (trace_id, span_id) FROM reply)
), came AS (
    SELECT *, starts_with(coalesce(routing_key, queue, ''), 'amq.rabbitmq.reply-to') AS direct, coalesce(nullif(routing_key, ''), queue) AS address FROM delivery_facts
    WHERE first_batch >= $since AND context_trace_id IS NULL AND correlation_id IS NOT NULL
      AND (coalesce(exchange, '') = '' AND (starts_with(coalesce(nullif(routing_key, ''), queue, ''), 'amq.') OR coalesce(nullif(routing_key, ''), queue) IN (SELECT reply_to FROM addresses)))
), found AS (
    SELECT d.first_batch AS batch, d.trace_id, d.span_id, r.trace_id AS to_trace_id, r.span_id AS to_span_id
    FROM came d JOIN reply r ON r.correlation_id = d.correlation_id AND r.routing_key = d.address
    WHERE d.batch = $batch OR r.batch = $batch OR d.address IN (SELECT reply_to FROM addresses WHERE batch = $batch)
    UNION
    SELECT d.first_batch, d.trace_id, d.span_id, q.trace_id, q.span_id
    FROM came d JOIN request q ON q.correlation_id = d.correlation_id AND q.instance IS NOT DISTINCT FROM d.instance AND q.service = d.service
        AND coalesce(q.reply_to = d.address OR (d.direct AND starts_with(q.reply_to, 'amq.rabbitmq.reply-to')), true)
    WHERE q.start_ns <= d.received_ns AND (d.batch = $batch OR q.batch = $batch)
    UNION
    SELECT h.first_batch, h.trace_id, h.span_id, q.trace_id, q.span_id
    FROM reply r
    JOIN delivery_facts h ON h.first_batch >= $since AND h.trace_id = r.trace_id AND h.span_id = r.operation_span_id AND h.context_trace_id IS NULL
    JOIN request q ON q.correlation_id = r.correlation_id AND q.trace_id <> h.trace_id
        AND h.routing_key IS NOT DISTINCT FROM q.routing_key AND h.exchange IS NOT DISTINCT FROM q.exchange
        AND coalesce(q.reply_to = r.routing_key OR (r.direct AND starts_with(q.reply_to, 'amq.rabbitmq.reply-to')), true)
    WHERE h.batch = $batch OR r.batch = $batch OR q.batch = $batch
)
-- an id that an application uses again and again names nobody
SELECT * FROM found
WHERE (trace_id, span_id, to_trace_id, to_span_id) NOT IN (SELECT (trace_id, span_id, to_trace_id, to_span_id) FROM span_links WHERE batch >= $since)
QUALIFY count(*) OVER (PARTITION BY trace_id, span_id) <= 2;
