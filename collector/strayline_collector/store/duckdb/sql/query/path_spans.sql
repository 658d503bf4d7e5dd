-- Spans of stories with what tells them apart; no attributes.
SELECT trace_id, span_id, parent_span_id, service, kind,
    CASE WHEN name = http_method AND http_route IS NOT NULL THEN name || ' ' || http_route ELSE name END AS name,
    start_ns, end_ns, status_code,
    coalesce(host, process, service) AS clock, coalesce(process, service) AS process,
    http_method, rpc_system, messaging_system, db_system
FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
ORDER BY start_ns, trace_id, span_id, kind
LIMIT $limit;
