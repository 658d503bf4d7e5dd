SELECT coalesce(message, trace_id || '-' || span_id) AS message, queue, service, instance, trace_id, span_id, channel, consumer_tag, delivery_tag,
    redelivered, received_ns, handled_start_ns, handled_end_ns, failed, settlement, settled_ns, death
FROM delivery_facts
WHERE coalesce(message, trace_id || '-' || span_id) IN (SELECT unnest($messages))
ORDER BY received_ns, delivery_tag, span_id;
