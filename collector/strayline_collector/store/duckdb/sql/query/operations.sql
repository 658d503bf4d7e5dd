SELECT name, kind, count(*) AS spans, count(*) FILTER (WHERE status_code = 2) AS errors
FROM distinct_spans
WHERE service = $service AND start_ns BETWEEN $start_ns AND $end_ns
GROUP BY name, kind ORDER BY spans DESC, name, kind;
