SELECT service, quantile_cont((end_ns - start_ns) / 1e6, 0.95) FILTER (WHERE kind IN (2, 5)) AS p95_ms
FROM distinct_spans WHERE start_ns BETWEEN $start_ns AND $end_ns
GROUP BY service ORDER BY service;
