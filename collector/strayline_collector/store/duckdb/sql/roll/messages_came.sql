-- Deliveries of the loads after `$rolled` up to `$until`, and all earlier ones of the minutes `again`, which lie
-- within two stretches of time. What is surely a reply is left out; other addresses for replies are
-- known when somebody asks.
WITH came AS (
    SELECT * FROM delivery_facts WHERE first_batch > $rolled AND first_batch <= $until
    UNION ALL
    SELECT * FROM delivery_facts WHERE first_batch <= $rolled AND received_ns BETWEEN $from_1 AND $to_1
    UNION ALL
    SELECT * FROM delivery_facts WHERE first_batch <= $rolled AND received_ns BETWEEN $from_2 AND $to_2
)
SELECT received_ns // 60_000_000_000 AS minute, service, broker, vhost, queue, exchange, routing_key, message, redelivered, received_ns, failed, correlation_id,
    handled_start_ns, handled_end_ns, trace_id, span_id, first_batch, publish_trace_id, publish_span_id, context_trace_id
FROM came
WHERE received_ns BETWEEN $start_ns AND $end_ns AND (first_batch > $rolled OR received_ns // 60_000_000_000 IN (SELECT minute FROM again))
  AND NOT starts_with(coalesce(queue, ''), 'amq.rabbitmq.reply-to') AND NOT starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to')
  AND NOT (coalesce(exchange, 'x') = '' AND correlation_id IS NOT NULL AND starts_with(coalesce(routing_key, ''), 'amq.gen-'));
