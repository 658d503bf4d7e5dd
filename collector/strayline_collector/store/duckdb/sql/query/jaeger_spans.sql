-- The traces `found` whole, to be told as another tool tells them.
SELECT trace_id, span_id, parent_span_id, trace_state, flags, name, kind, start_ns, end_ns, status_code, status_message,
    attributes, events, links, resource, scope, dropped, batch, shortened
FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
ORDER BY start_ns, trace_id, span_id, kind
LIMIT $limit;
