-- What was rejected for good in a touched queue, or once more than its quorum queue tries, where no dead-letter exchange
-- follows: a message's last delivery there. `$dead`: whether anything was ever rejected (`came_ways`); where nothing was the
-- history is not read.
SELECT d.*, q.key, CASE WHEN d.settlement IN ('nack_requeue', 'reject_requeue') THEN q.delivery_limit END AS over_limit
FROM (
    SELECT message, environment, broker, vhost, queue, exchange, routing_key, service, trace_id, span_id, publish_trace_id, publish_span_id, message_id,
        delivery_tag, delivery_count, redelivered, settlement, received_ns, settled_ns, batch
    FROM delivery_facts SEMI JOIN (SELECT queue FROM came_ways WHERE dead) USING (queue)
    WHERE $dead AND message IS NOT NULL
      AND (settlement IN ('nack_drop', 'reject_drop') OR settlement IN ('nack_requeue', 'reject_requeue') AND delivery_count IS NOT NULL)
) d
JOIN (
    SELECT *, concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), name) AS key
    FROM queue_traits WHERE dead_letter_exchange IS NULL AND NOT is_stream
) q ON q.name = d.queue AND q.broker IS NOT DISTINCT FROM d.broker AND q.vhost IS NOT DISTINCT FROM d.vhost AND q.environment IS NOT DISTINCT FROM d.environment
    AND d.received_ns BETWEEN q.from_ns AND q.to_ns
SEMI JOIN touched t ON t.key = q.key
WHERE d.settlement IN ('nack_drop', 'reject_drop') OR d.delivery_count >= q.delivery_limit
QUALIFY row_number() OVER (PARTITION BY d.environment, d.broker, d.vhost, d.queue, d.message ORDER BY d.received_ns DESC, d.span_id DESC) = 1;
