-- Spans of the load that are stored already: retries. First by the one narrow column.
SELECT DISTINCT s.trace_id, s.span_id, s.kind
FROM spans s
WHERE s.batch >= $since AND s.span_id IN (SELECT span_id FROM arrived)
  AND (s.trace_id, s.span_id, s.kind) IN (SELECT (trace_id, span_id, kind) FROM arrived);
