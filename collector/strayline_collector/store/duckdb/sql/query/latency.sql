-- HTTP and gRPC calls by pair of services: the client's time, of it the server's, the rest network
-- and queueing; of calls whose server says nothing all is unexplained. Differences of durations, so
-- no two clocks are compared. A call of a silent server belongs to the service that alone answers
-- at its address.
WITH told AS NOT MATERIALIZED (  -- each reader its own few columns: half the time over ten million spans
    SELECT trace_id, span_id, parent_span_id, kind, service, start_ns, end_ns - start_ns AS ns, status_code = 2 AS failed,
        rpc_system, http_method, db_system, server_address || coalesce(':' || server_port, '') AS address, peer_service
    FROM distinct_spans
    WHERE kind IN (2, 3) AND messaging_system IS NULL
      AND start_ns >= $start_ns - 3600000000000 AND start_ns - 3600000000000 <= $end_ns  -- a server's clock may differ
), served AS NOT MATERIALIZED (
    SELECT trace_id, parent_span_id, min(service) AS service, sum(ns) AS ns FROM told
    WHERE kind = 2 AND parent_span_id IN (SELECT span_id FROM told WHERE kind = 3 AND start_ns BETWEEN $start_ns AND $end_ns AND ($client IS NULL OR service = $client)) GROUP BY trace_id, parent_span_id
), called AS MATERIALIZED (
    SELECT c.service AS client, s.service AS server, coalesce(c.peer_service, c.address) AS peer, c.failed, c.ns AS client_ns, s.ns AS told_ns, CASE WHEN s.ns <= c.ns THEN s.ns WHEN s.ns IS NOT NULL THEN c.ns END AS server_ns,
        CASE WHEN c.rpc_system = 'grpc' THEN 'grpc' WHEN c.rpc_system IS NULL THEN 'http' ELSE 'other' END AS protocol
    FROM told c
    LEFT JOIN served s ON s.trace_id = c.trace_id AND s.parent_span_id = c.span_id
    WHERE c.kind = 3 AND c.start_ns BETWEEN $start_ns AND $end_ns AND c.db_system IS NULL
      AND (c.http_method IS NOT NULL OR c.rpc_system IS NOT NULL) AND ($client IS NULL OR c.service = $client)
), answering AS (
    SELECT client, peer, min(server) AS server FROM called WHERE server IS NOT NULL AND peer IS NOT NULL
    GROUP BY client, peer HAVING count(DISTINCT server) = 1
), split AS (
    SELECT c.client, coalesce(c.server, a.server) AS server, CASE WHEN coalesce(c.server, a.server) IS NULL THEN c.peer END AS peer, c.protocol, c.failed,
        c.client_ns / 1e6 AS client_ms, c.server_ns / 1e6 AS server_ms,
        (c.client_ns - c.server_ns) / 1e6 AS network_ms,
        CASE WHEN c.told_ns IS NULL THEN c.client_ns / 1e6 ELSE 0 END AS unexplained_ms, c.told_ns > c.client_ns AS outlasting
    FROM called c LEFT JOIN answering a ON c.server IS NULL AND a.client = c.client AND a.peer = c.peer
)
SELECT client, server, peer, protocol, count(*) AS calls, count(server_ms) AS explained_calls, count(*) FILTER (WHERE failed) AS errors,
    count(*) FILTER (WHERE outlasting) AS outlasting_calls,
    sum(client_ms) AS total_ms, coalesce(sum(server_ms), 0) AS server_total_ms, coalesce(sum(network_ms), 0) AS network_total_ms,
    sum(unexplained_ms) AS unexplained_total_ms,
    quantile_cont(client_ms, 0.5) AS client_p50_ms, quantile_cont(client_ms, 0.95) AS client_p95_ms,
    quantile_cont(server_ms, 0.5) AS server_p50_ms, quantile_cont(server_ms, 0.95) AS server_p95_ms,
    quantile_cont(network_ms, 0.5) AS network_p50_ms, quantile_cont(network_ms, 0.95) AS network_p95_ms
FROM split
WHERE $server IS NULL OR server = $server
GROUP BY ALL ORDER BY total_ms DESC, client, server, peer, protocol
LIMIT 1000;
