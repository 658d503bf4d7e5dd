DELETE FROM delivery_facts AS d
USING taking t
WHERE NOT t.silent AND d.first_batch >= $since AND d.trace_id = t.trace_id AND d.span_id = t.taken_span_id AND d.source = 'spans';
