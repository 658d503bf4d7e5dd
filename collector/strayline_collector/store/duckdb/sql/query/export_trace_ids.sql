-- The traces of a range, oldest first, for formats that hold a trace in one piece.
SELECT trace_id FROM spans WHERE start_ns BETWEEN $start_ns AND $end_ns
GROUP BY trace_id ORDER BY min(start_ns), trace_id LIMIT $limit;
