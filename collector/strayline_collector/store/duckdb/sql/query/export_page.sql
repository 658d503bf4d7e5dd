-- The spans after a cursor, by start and identity: what a retry brought twice stands side by side.
-- Spans about ourselves are among them, since they came in too.
SELECT trace_id, span_id, parent_span_id, trace_state, flags, name, kind, start_ns, end_ns, status_code, status_message,
    attributes, events, links, resource, scope, dropped, batch, shortened
FROM spans
WHERE start_ns BETWEEN $from_ns AND $until_ns
  AND (start_ns > $from_ns OR (trace_id, span_id, kind) > ($trace_id, $span_id, $kind))
  /* one trace */
ORDER BY start_ns, trace_id, span_id, kind, batch, end_ns, name
LIMIT $limit;
