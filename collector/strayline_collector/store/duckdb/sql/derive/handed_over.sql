-- What the client's spans of those groups say is kept aside: with the listener's they are one delivery.
INSERT INTO handover_facts BY NAME
SELECT $batch AS batch, h.first_batch, h.service, h.instance, h.trace_id, h.span_id, h.context_trace_id, h.context_span_id,
    h.queue, h.exchange, h.routing_key, h.received_ns
FROM delivery_facts h
JOIN handing g ON g.context_trace_id = h.context_trace_id AND g.context_span_id = h.context_span_id
    AND g.service = h.service AND g.instance IS NOT DISTINCT FROM h.instance
WHERE h.first_batch >= $since AND starts_with(h.name_hint, 'queue:');
