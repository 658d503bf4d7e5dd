SELECT count(DISTINCT (trace_id, span_id, kind)) AS spans, count(DISTINCT trace_id) AS traces
FROM spans WHERE name NOT IN ('strayline.topology', 'strayline.census');
