-- What the loads after the last roll change in the graph of calls: the calls of their traces as they
-- are now, less those that the traces' earlier spans alone made. A call is told as in
-- query/graph_calls.sql; calls of every $grain nanoseconds are one row.
WITH fresh AS MATERIALIZED (
    SELECT trace_id, span_id, parent_span_id, kind, service, start_ns, end_ns, status_code, http_method, rpc_system, db_system, messaging_system, server_address, server_port, peer_service
    FROM distinct_spans WHERE batch > $rolled AND batch <= $until
), earlier AS MATERIALIZED (
    SELECT trace_id, span_id, parent_span_id, kind, service, start_ns, end_ns, status_code, http_method, rpc_system, db_system, messaging_system, server_address, server_port, peer_service
    FROM distinct_spans WHERE batch BETWEEN $since AND $rolled AND trace_id IN (SELECT trace_id FROM fresh)
), span AS (
    SELECT 1 AS state, * FROM fresh UNION ALL SELECT 1, * FROM earlier UNION ALL SELECT -1, * FROM earlier
), served AS (
    SELECT s.state, c.service AS source, s.service AS target, false AS external, s.start_ns, s.end_ns, s.status_code,
        CASE WHEN s.rpc_system = 'grpc' OR c.rpc_system = 'grpc' THEN 'grpc' WHEN coalesce(s.http_method, c.http_method) IS NOT NULL THEN 'http' ELSE 'other' END AS protocol
    FROM span s JOIN span c ON c.state = s.state AND c.trace_id = s.trace_id AND c.span_id = s.parent_span_id AND c.kind <> 2
    WHERE s.kind = 2 AND (c.kind = 3 OR c.service <> s.service)
), sent AS (
    SELECT c.state, c.service AS source,
        coalesce(c.peer_service, c.db_system, c.server_address || coalesce(':' || c.server_port, '')) AS target, true AS external,
        c.start_ns, c.end_ns, c.status_code,
        CASE WHEN c.rpc_system = 'grpc' THEN 'grpc' WHEN c.http_method IS NOT NULL THEN 'http' ELSE 'other' END AS protocol
    FROM span c
    WHERE c.kind = 3 AND c.messaging_system IS NULL
      AND NOT EXISTS (SELECT 1 FROM span s WHERE s.state = c.state AND s.trace_id = c.trace_id AND s.parent_span_id = c.span_id AND s.kind = 2)
), call AS (
    SELECT * FROM served UNION ALL SELECT * FROM sent WHERE target IS NOT NULL
)
SELECT start_ns // $grain * $grain AS start_ns, source, target, external, protocol, bucket_of(end_ns - start_ns) AS bucket,
    sum(state)::BIGINT AS calls, coalesce(sum(state) FILTER (WHERE status_code = 2), 0)::BIGINT AS errors
FROM call
WHERE start_ns BETWEEN $start_ns AND $end_ns
GROUP BY ALL HAVING calls <> 0 OR errors <> 0;
