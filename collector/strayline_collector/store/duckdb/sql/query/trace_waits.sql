SELECT d.trace_id, d.span_id, d.queue,
    greatest(0, d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END) AS wait_ns
FROM delivery_facts d
LEFT JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
WHERE d.trace_id IN (SELECT unnest($trace_ids));
