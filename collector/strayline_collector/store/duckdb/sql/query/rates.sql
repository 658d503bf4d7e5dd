SELECT (start_ns - $start_ns) // $step_ns AS step, count(*) AS spans,
    count(*) FILTER (WHERE kind IN (2, 5)) AS requests,
    count(*) FILTER (WHERE kind IN (2, 5) AND status_code = 2) AS errors,
    quantile_cont((end_ns - start_ns) / 1e6, 0.95) FILTER (WHERE kind IN (2, 5)) AS p95_ms
FROM distinct_spans
WHERE start_ns BETWEEN $start_ns AND $end_ns AND ($service IS NULL OR service = $service)
GROUP BY step ORDER BY step;
