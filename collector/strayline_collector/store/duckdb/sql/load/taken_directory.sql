-- A publish that comes later finds the delivery that its handling's link named.
INSERT INTO message_directory
SELECT DISTINCT key_of(t.linked_trace_id), d.first_batch
FROM taking t JOIN delivery_facts d ON d.first_batch >= $since AND d.trace_id = t.trace_id AND d.span_id = t.taken_span_id
WHERE t.silent AND t.linked_trace_id IS NOT NULL;
