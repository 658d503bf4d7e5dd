SELECT DISTINCT trace_id, span_id, to_trace_id, to_span_id FROM span_links
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found) ORDER BY ALL LIMIT $limit;
