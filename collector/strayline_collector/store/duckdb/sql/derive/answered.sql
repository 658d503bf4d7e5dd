DELETE FROM open_operations WHERE (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM climbing);
