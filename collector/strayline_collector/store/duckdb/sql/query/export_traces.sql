-- Whole traces for an export.
SELECT trace_id, span_id, parent_span_id, trace_state, flags, name, kind, start_ns, end_ns, status_code, status_message,
    attributes, events, links, resource, scope, dropped, batch, shortened
FROM spans
WHERE trace_id IN (SELECT unnest($trace_ids))
ORDER BY start_ns, trace_id, span_id, kind, batch, end_ns, name;
