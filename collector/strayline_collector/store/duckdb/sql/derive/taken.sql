-- Handlings know what their `receive` span knew of the message, and when it was taken.
UPDATE delivery_facts AS d
SET batch = $batch, first_batch = least(d.first_batch, o.first_batch), received_ns = least(d.received_ns, o.received_ns),
    context_trace_id = CASE WHEN d.context_span_id = o.span_id THEN o.context_trace_id ELSE d.context_trace_id END,
    context_span_id = CASE WHEN d.context_span_id = o.span_id THEN o.context_span_id ELSE d.context_span_id END,
    exchange = coalesce(d.exchange, o.exchange), routing_key = coalesce(d.routing_key, o.routing_key), queue = coalesce(d.queue, o.queue),
    name_hint = coalesce(d.name_hint, o.name_hint), message_id = coalesce(d.message_id, o.message_id), correlation_id = coalesce(d.correlation_id, o.correlation_id)
FROM taking t JOIN delivery_facts o ON o.first_batch >= $since AND o.trace_id = t.trace_id AND o.span_id = t.taken_span_id
WHERE d.first_batch >= $since AND d.trace_id = t.trace_id AND d.span_id = t.handling_span_id AND o.source = 'spans';
