-- What is said of each message that is shown.
SELECT k.position, k.sequence, k.late, k.extent, k.cause, k.again AS redelivered, k.at_ns, d.publish_trace_id, d.publish_span_id, d.message_id, d.routing_key, d.service AS consumer_service,
    d.trace_id, d.span_id, d.settlement
FROM picked k JOIN facts d ON d.received_ns = k.received_ns AND (hash(coalesce(d.message, d.trace_id || d.span_id), reverse(coalesce(d.message, d.trace_id || d.span_id))) >> 1)::BIGINT = k.m
ORDER BY k.position, d.span_id;
