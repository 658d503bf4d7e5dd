-- Groups of one message in one process that a listener's span of Spring tells, touched by this load.
SELECT DISTINCT l.service, l.instance, l.context_trace_id, l.context_span_id
FROM delivery_facts l
JOIN (
    SELECT DISTINCT context_trace_id, context_span_id FROM delivery_facts
    WHERE batch = $batch AND context_span_id IS NOT NULL AND (starts_with(name_hint, 'queue:') OR starts_with(name_hint, 'key:'))
) t ON t.context_trace_id = l.context_trace_id AND t.context_span_id = l.context_span_id
WHERE l.first_batch >= $since AND starts_with(l.name_hint, 'key:');
