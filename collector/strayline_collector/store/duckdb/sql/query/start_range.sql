-- As `oldest_start` and `newest_start`, by reading every start within the range.
SELECT min(start_ns) AS start_ns, max(start_ns) AS end_ns FROM distinct_spans WHERE start_ns BETWEEN $start_ns AND $end_ns;
