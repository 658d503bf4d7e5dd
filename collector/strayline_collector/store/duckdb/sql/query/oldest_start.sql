SELECT start_ns FROM distinct_spans WHERE start_ns BETWEEN $start_ns AND $end_ns ORDER BY start_ns LIMIT 1;
