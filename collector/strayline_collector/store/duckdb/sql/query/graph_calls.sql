-- HTTP, gRPC and other calls: one per pair of client and server span, or the one side known.
-- `caller` null: nobody knows who called. A client span without its server's names an external peer.
WITH span AS (
    SELECT trace_id, span_id, parent_span_id, kind, service, start_ns, end_ns, status_code,
        http_method, rpc_system, db_system, messaging_system, server_address, server_port, peer_service
    FROM distinct_spans
), served AS (
    SELECT c.service AS source, s.service AS target, false AS external, s.start_ns, s.end_ns, s.status_code,
        CASE WHEN s.rpc_system = 'grpc' OR c.rpc_system = 'grpc' THEN 'grpc' WHEN coalesce(s.http_method, c.http_method) IS NOT NULL THEN 'http' ELSE 'other' END AS protocol
    FROM span s JOIN span c ON c.trace_id = s.trace_id AND c.span_id = s.parent_span_id AND c.kind <> 2
    WHERE s.kind = 2 AND (c.kind = 3 OR c.service <> s.service)
), sent AS (
    SELECT c.service AS source,
        coalesce(c.peer_service, c.db_system, c.server_address || coalesce(':' || c.server_port, '')) AS target, true AS external,
        c.start_ns, c.end_ns, c.status_code,
        CASE WHEN c.rpc_system = 'grpc' THEN 'grpc' WHEN c.http_method IS NOT NULL THEN 'http' ELSE 'other' END AS protocol
    FROM span c
    WHERE c.kind = 3 AND c.messaging_system IS NULL
      AND NOT EXISTS (SELECT 1 FROM span s WHERE s.trace_id = c.trace_id AND s.parent_span_id = c.span_id AND s.kind = 2)
)
SELECT source, target, external, protocol, count(*) AS calls, count(*) FILTER (WHERE status_code = 2) AS errors,
    quantile_cont((end_ns - start_ns) / 1e6, 0.5) AS p50_ms, quantile_cont((end_ns - start_ns) / 1e6, 0.95) AS p95_ms
FROM (SELECT * FROM served UNION ALL SELECT * FROM sent WHERE target IS NOT NULL)
WHERE start_ns BETWEEN $start_ns AND $end_ns
GROUP BY ALL ORDER BY ALL;
