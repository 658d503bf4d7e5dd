-- Traces with a span in these times, of those that are rolled up already.
SELECT DISTINCT trace_id FROM distinct_spans WHERE batch <= $rolled AND start_ns BETWEEN $start_ns AND $end_ns;
