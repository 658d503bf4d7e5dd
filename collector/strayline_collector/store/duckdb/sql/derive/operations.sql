UPDATE publish_facts AS p
SET operation = c.name, operation_span_id = c.top_span_id, batch = $batch
FROM climbed c
WHERE p.first_batch >= $since AND p.trace_id = c.trace_id AND p.span_id = c.span_id AND p.operation_span_id <> c.top_span_id;
