-- Every operation in two ranges of time side by side, the most called first.
WITH told AS (
    SELECT service, kind, CASE WHEN name = http_method AND http_route IS NOT NULL THEN name || ' ' || http_route ELSE name END AS name,
        status_code = 2 AS failed, (end_ns - start_ns) / 1e6 AS ms,
        start_ns BETWEEN $start_a AND $end_a AS in_a, start_ns BETWEEN $start_b AND $end_b AS in_b
    FROM distinct_spans
    WHERE (start_ns BETWEEN $start_a AND $end_a OR start_ns BETWEEN $start_b AND $end_b) AND ($service IS NULL OR service = $service)
)
SELECT service, kind, name, count(*) FILTER (WHERE in_a) AS a_calls, count(*) FILTER (WHERE in_b) AS b_calls,
    count(*) FILTER (WHERE in_a AND failed) AS a_errors, count(*) FILTER (WHERE in_b AND failed) AS b_errors,
    quantile_cont(ms, 0.5) FILTER (WHERE in_a) AS a_p50_ms, quantile_cont(ms, 0.5) FILTER (WHERE in_b) AS b_p50_ms,
    quantile_cont(ms, 0.95) FILTER (WHERE in_a) AS a_p95_ms, quantile_cont(ms, 0.95) FILTER (WHERE in_b) AS b_p95_ms
FROM told
GROUP BY service, kind, name
ORDER BY a_calls + b_calls DESC, service, name, kind
LIMIT 5000;
