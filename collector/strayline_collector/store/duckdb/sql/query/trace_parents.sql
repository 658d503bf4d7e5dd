-- The earliest first, so that what is cut is the end.
SELECT trace_id, span_id, any_value(parent_span_id) AS parent_span_id FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
GROUP BY trace_id, span_id ORDER BY min(start_ns), trace_id, span_id LIMIT 100001;
