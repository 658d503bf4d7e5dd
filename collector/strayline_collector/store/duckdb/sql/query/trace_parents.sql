SELECT trace_id, span_id, any_value(parent_span_id) AS parent_span_id FROM spans
WHERE trace_id IN (SELECT unnest($trace_ids)) AND name NOT IN ('strayline.topology', 'strayline.census')
GROUP BY trace_id, span_id ORDER BY trace_id, span_id LIMIT 100001;
