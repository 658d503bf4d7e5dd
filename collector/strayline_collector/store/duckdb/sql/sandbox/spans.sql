-- What SQL from outside reads as `spans`: each span once, in words. Texts over 64 KiB, from before they
-- were cut short, are left out, so that no query can hold thousands of them at a time.
CREATE TEMP VIEW asked_spans AS
SELECT trace_id, span_id, parent_span_id, name,
    ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'][kind + 1] AS kind,
    service, environment,
    ['unset', 'ok', 'error'][status_code + 1] AS status, status_message,
    start_ns AS start, end_ns AS "end", (end_ns - start_ns) / 1e6 AS duration_ms,
    process, host, scope_name, http_method, http_status_code, http_route, url_path,
    rpc_system, rpc_service, rpc_method, rpc_status, messaging_system, messaging_operation,
    db_system, server_address, server_port, peer_service,
    CASE WHEN strlen(attributes) <= 65536 THEN attributes END AS attributes,
    CASE WHEN strlen(events) <= 65536 THEN events END AS events,
    CASE WHEN strlen(links) <= 65536 THEN links END AS links,
    CASE WHEN strlen(resource) <= 65536 THEN resource END AS resource,
    shortened IS NOT NULL AS shortened
FROM distinct_spans
