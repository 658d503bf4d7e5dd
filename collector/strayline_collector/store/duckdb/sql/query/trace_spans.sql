-- Spans of traces: what the tree needs, and the rest as JSON text as the API writes it, so that
-- nobody parses it on the way. `text` is an object's inside.
SELECT trace_id, span_id, parent_span_id, kind, start_ns, end_ns, service, name, status_code = 2 AS failed, messaging_system IS NOT NULL AS of_message,
    coalesce(host, process, service) AS clock, coalesce(process, service) AS process,
    CASE WHEN events <> '[]' THEN events END AS events, CASE WHEN links <> '[]' THEN links END AS links, batch, shortened,
    -- one concat: each || would copy what stands to its left
    concat('"trace_id":"', trace_id, '","span_id":"', span_id, '","parent_span_id":', coalesce('"' || parent_span_id || '"', 'null'),
        ',"service":', to_json(service), ',"name":', to_json(name),
        ',"kind":"', ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'][kind + 1],
        '","status":"', ['unset', 'ok', 'error'][status_code + 1], '","status_message":', coalesce(to_json(status_message)::VARCHAR, 'null'),
        ',"protocol":', CASE
            WHEN messaging_system = 'rabbitmq' THEN '"amqp"' WHEN messaging_system IS NOT NULL THEN '"other"'
            WHEN rpc_system = 'grpc' THEN '"grpc"' WHEN rpc_system IS NOT NULL THEN '"other"'
            WHEN http_method IS NOT NULL THEN '"http"' WHEN db_system IS NOT NULL THEN '"other"' ELSE 'null' END,
        ',"scope":', coalesce(to_json(scope_name)::VARCHAR, 'null'),
        ',"attributes":', coalesce(attributes, '{}'), ',"resource":', coalesce(json_extract(resource, '$.attributes')::VARCHAR, '{}')) AS text
FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
ORDER BY start_ns, trace_id, span_id, kind
LIMIT $limit;
