SELECT service AS name, count(*) AS spans, count(DISTINCT trace_id) AS traces, count(*) FILTER (WHERE status_code = 2) AS errors
FROM distinct_spans
WHERE start_ns BETWEEN $start_ns AND $end_ns
GROUP BY service ORDER BY service;
