SELECT trace_id, span_id, parent_span_id, service, name, kind, start_ns, end_ns, status_code, status_message, scope_name, host, process,
    http_method, rpc_system, messaging_system, db_system, attributes, resource, events, links
FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
ORDER BY start_ns, trace_id, span_id, kind
LIMIT $limit;
