DELETE FROM publish_facts AS p
USING wrapping w
WHERE p.first_batch >= $since AND p.trace_id = w.trace_id AND p.span_id = w.gone_span_id;
