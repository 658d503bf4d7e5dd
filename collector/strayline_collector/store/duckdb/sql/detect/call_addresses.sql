-- The addresses at which the `suspects` are called, where so many calls were answered with success: a
-- connection that was refused, or a gateway's own error, is no sign of a service.
WITH told AS (
    SELECT s.environment, s.service, x.target AS peer, s.peer_service, s.server_address, s.server_port
    FROM spans s JOIN suspects x ON x.source = s.service AND x.target = coalesce(s.peer_service, s.server_address || coalesce(':' || s.server_port, ''))
    WHERE s.batch > $recent AND s.kind = 3 AND s.messaging_system IS NULL AND s.db_system IS NULL
      AND (s.http_method IS NOT NULL AND s.http_status_code BETWEEN 100 AND 399 OR s.rpc_system = 'grpc' AND s.rpc_status IN ('0', 'OK'))
)
SELECT *, sum(count(*)) OVER (PARTITION BY environment, service, peer) AS answered
FROM told GROUP BY environment, service, peer, peer_service, server_address, server_port
QUALIFY answered >= (SELECT uninstrumented_messages FROM thresholds);
