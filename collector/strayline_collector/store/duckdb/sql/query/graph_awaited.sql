-- Calls that began since $since_ns and of which no span of the called side has come, to addresses whose spans
-- did come for calls since $before_ns. A thousand of those are looked at.
WITH sent AS (
    SELECT trace_id, span_id, service AS source, start_ns >= $since_ns AS young,
        coalesce(peer_service, db_system, server_address || coalesce(':' || server_port, '')) AS target,
        CASE WHEN rpc_system = 'grpc' THEN 'grpc' WHEN http_method IS NOT NULL THEN 'http' ELSE 'other' END AS protocol
    FROM distinct_spans WHERE kind = 3 AND messaging_system IS NULL AND start_ns >= $before_ns
), served AS (
    SELECT trace_id, parent_span_id FROM distinct_spans WHERE kind = 2 AND parent_span_id IS NOT NULL AND start_ns >= $before_ns
), awaited AS (
    FROM sent c WHERE young AND target IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM served s WHERE s.trace_id = c.trace_id AND s.parent_span_id = c.span_id)
), answered AS (
    SELECT DISTINCT c.target
    FROM (FROM sent WHERE NOT young AND target IN (SELECT target FROM awaited) LIMIT 1000) c
    JOIN served s ON s.trace_id = c.trace_id AND s.parent_span_id = c.span_id
)
SELECT source, target, protocol, count(*) AS calls FROM awaited WHERE target IN (FROM answered) GROUP BY ALL;
