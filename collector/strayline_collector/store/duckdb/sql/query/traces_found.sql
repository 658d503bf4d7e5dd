-- Traces with a span, started within these times, for which the term holds that finds the fewest.
SELECT DISTINCT trace_id FROM distinct_spans
WHERE start_ns BETWEEN $since_ns AND $until_ns /* driver */;
