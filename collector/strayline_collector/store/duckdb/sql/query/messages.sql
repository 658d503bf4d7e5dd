-- Messages, newest first: each publish with what was delivered of it, and deliveries whose publish
-- nobody saw. Filters that are null do not filter. A page goes on behind the last row of the one before.
WITH known AS (
    SELECT p.message, p.trace_id || '-' || p.span_id AS id, p.trace_id, p.span_id AS producer_span_id, p.message_id, p.type, p.broker, p.vhost,
        p.exchange, p.routing_key, p.service AS producer_service, p.start_ns AS published_ns, p.outcome, p.ordering_key,
        CASE WHEN p.stamp_ok THEN concat_ws('.', p.epoch, p.channel, p.n) END AS stamp
    FROM publish_facts p
    UNION ALL
    SELECT coalesce(d.message, d.trace_id || '-' || d.span_id), coalesce(d.message, d.trace_id || '-' || d.span_id), NULL, NULL, min(d.message_id), NULL, min(d.broker), min(d.vhost),
        min(d.exchange), min(d.routing_key), NULL, min(d.received_ns), NULL, NULL, min(d.stamp)
    FROM delivery_facts d WHERE d.publish_span_id IS NULL
    GROUP BY coalesce(d.message, d.trace_id || '-' || d.span_id)
)
SELECT k.* FROM known k
WHERE ($message_id IS NULL OR k.message_id = $message_id)
  AND ($exchange IS NULL OR k.exchange = $exchange)
  AND ($id IS NULL OR k.id = $id)
  AND ($trace_id IS NULL OR k.trace_id = $trace_id OR k.message IN (SELECT message FROM delivery_facts WHERE trace_id = $trace_id))
  AND ($queue IS NULL OR k.message IN (SELECT coalesce(message, trace_id || '-' || span_id) FROM delivery_facts WHERE queue = $queue))
  AND ($after_ns IS NULL OR k.published_ns < $after_ns OR (k.published_ns = $after_ns AND k.id > $after_id))
ORDER BY k.published_ns DESC, k.id
LIMIT $limit;
