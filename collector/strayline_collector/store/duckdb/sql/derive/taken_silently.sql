-- Where the handling's span names no messaging system, the `receive` span's delivery stays, and is handled when that was.
UPDATE delivery_facts AS d
SET batch = $batch, handled_start_ns = t.start_ns, handled_end_ns = t.end_ns, failed = t.failed,
    context_trace_id = coalesce(d.context_trace_id, t.linked_trace_id), context_span_id = coalesce(d.context_span_id, t.linked_span_id)
FROM taking t
WHERE t.silent AND d.first_batch >= $since AND d.trace_id = t.trace_id AND d.span_id = t.taken_span_id AND d.source = 'spans';
