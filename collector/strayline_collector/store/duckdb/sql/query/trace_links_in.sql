SELECT DISTINCT trace_id, span_id, to_trace_id, to_span_id FROM span_links WHERE to_trace_id IN (SELECT unnest($trace_ids)) ORDER BY ALL;
