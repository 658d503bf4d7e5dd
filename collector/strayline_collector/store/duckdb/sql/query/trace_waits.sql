-- Deliveries of these traces with the times of their publishes, wherever those are.
WITH delivered AS (
    SELECT trace_id, span_id, queue, received_ns, handled_start_ns, publish_trace_id, publish_span_id,
        coalesce(host, instance, service) AS clock
    FROM delivery_facts
    WHERE first_batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
), published AS (
    SELECT p.trace_id, p.span_id, p.start_ns, p.end_ns, coalesce(p.host, p.instance, p.service) AS clock FROM publish_facts p
    WHERE p.trace_id IN (SELECT publish_trace_id FROM delivered)
)
SELECT d.trace_id, d.span_id, d.queue, d.received_ns, d.handled_start_ns, d.clock,
    p.trace_id AS publish_trace_id, p.span_id AS publish_span_id, p.start_ns AS sent_ns, p.end_ns AS published_ns, p.clock AS publish_clock
FROM delivered d
LEFT JOIN published p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id;
