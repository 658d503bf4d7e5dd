WITH delivered AS (
    SELECT trace_id, span_id, queue, handled_start_ns, publish_trace_id, publish_span_id FROM delivery_facts
    WHERE first_batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
), published AS (
    SELECT p.trace_id, p.span_id, p.start_ns, p.end_ns FROM publish_facts p
    WHERE p.trace_id IN (SELECT publish_trace_id FROM delivered)
)
SELECT d.trace_id, d.span_id, d.queue,
    greatest(0, d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END) AS wait_ns
FROM delivered d
LEFT JOIN published p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id;
