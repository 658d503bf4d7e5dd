-- Which of the `wanted` spans are stored.
SELECT DISTINCT trace_id, span_id FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
  AND (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM wanted);
