-- Spans of traces for a drawing: no attributes, so that a hundred thousand are read in a moment.
-- `text`: status, protocol (0 none, else its place in the API's list plus one), number of events.
SELECT trace_id, span_id, parent_span_id, kind, start_ns, end_ns, service, name, status_code = 2 AS failed, messaging_system IS NOT NULL AS of_message,
    coalesce(host, process, service) AS clock, coalesce(process, service) AS process,
    CASE WHEN links <> '[]' THEN links END AS links, NULL::VARCHAR AS events, batch, shortened,
    '[' || status_code || ',' || CASE
        WHEN messaging_system = 'rabbitmq' THEN 3 WHEN messaging_system IS NOT NULL THEN 4
        WHEN rpc_system = 'grpc' THEN 2 WHEN rpc_system IS NOT NULL THEN 4
        WHEN http_method IS NOT NULL THEN 1 WHEN db_system IS NOT NULL THEN 4 ELSE 0 END
    || ',' || CASE WHEN events <> '[]' THEN json_array_length(events) ELSE 0 END || ']' AS text
FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
ORDER BY start_ns, trace_id, span_id, kind
LIMIT $limit;
