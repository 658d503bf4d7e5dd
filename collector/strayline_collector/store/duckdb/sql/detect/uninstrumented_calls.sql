-- HTTP and gRPC hops that nobody is ever seen at the other end of (docs/messages.md, section 5): of
-- `call_peers` (detect/peers.py), which lead to services of one's own, those of whose calls not one was
-- served. One row a hop; the calls are counted, not listed. Loads after `$recent` are looked at, of each
-- hop its newest 10,000 calls: what was said of one that was hardly called since stays until a call is served.
WITH calls AS (
    SELECT h.environment, h.service, h.peer, h.label, s.batch, s.trace_id, s.span_id, s.parent_span_id, s.start_ns, s.end_ns, s.http_method,
        s.rpc_service, s.server_address, s.server_port,
        coalesce(s.http_method IS NOT NULL AND s.http_status_code BETWEEN 100 AND 399 OR s.rpc_system = 'grpc' AND s.rpc_status IN ('0', 'OK'), false) AS answered
    FROM call_peers h
    JOIN spans s ON s.service = h.service AND s.environment IS NOT DISTINCT FROM h.environment
        AND coalesce(s.peer_service, s.server_address || coalesce(':' || s.server_port, '')) = h.peer
    WHERE s.batch > $recent AND s.kind = 3 AND s.messaging_system IS NULL AND s.db_system IS NULL
), hops AS (
    SELECT environment, service, peer, any_value(label) AS label, count(*) AS unseen, min(start_ns) AS first_ns, max(end_ns) AS last_ns, max(batch) AS batch,
        list_last(min(end_ns, (SELECT least(uninstrumented_messages, 999999) FROM thresholds))) AS enough_ns,
        CASE WHEN bool_and(rpc_service IS NOT NULL) THEN 'grpc' WHEN bool_and(http_method IS NOT NULL) THEN 'http' END AS protocol
    FROM calls c ANTI JOIN unheard u ON c.start_ns BETWEEN u.from_ns AND u.to_ns
    WHERE answered GROUP BY environment, service, peer
), newest AS MATERIALIZED (
    SELECT * FROM calls
    QUALIFY row_number() OVER (PARTITION BY environment, service, peer ORDER BY batch DESC, start_ns DESC, span_id) <= 10000
), reach AS (
    SELECT min(start_ns) - 3600000000000 AS from_ns, max(end_ns) + 3600000000000 AS to_ns FROM newest
), served AS (
    SELECT s.* FROM spans s, reach WHERE s.batch > $recent AND s.kind = 2 AND s.start_ns BETWEEN from_ns AND to_ns
), heard AS (
    SELECT n.environment, n.service, n.peer FROM newest n JOIN served s ON s.trace_id = n.trace_id AND s.parent_span_id = n.span_id
    UNION        -- what goes on inside another call: a store's client that speaks HTTP
    SELECT n.environment, n.service, n.peer
    FROM newest n JOIN (SELECT trace_id, span_id FROM spans WHERE batch > $recent AND kind = 3 AND (db_system IS NOT NULL OR messaging_system IS NOT NULL OR rpc_system <> 'grpc')) p
        ON p.trace_id = n.trace_id AND p.span_id = n.parent_span_id
    UNION        -- it sends spans, although they do not continue the caller's traces
    SELECT n.environment, n.service, n.peer
    FROM (SELECT DISTINCT environment, service, peer, label, server_address, server_port, rpc_service FROM newest) n
    JOIN (SELECT DISTINCT service, server_address, server_port, rpc_service FROM spans WHERE batch > $recent AND kind = 2) s
        ON s.service = n.label OR s.rpc_service = n.rpc_service OR s.server_address = n.server_address AND coalesce(s.server_port = n.server_port, true)
    UNION
    SELECT n.environment, n.service, n.peer
    FROM (
        SELECT c.*, regexp_extract(coalesce(p.attributes->>'$."url.full"', p.attributes->>'$."http.url"'), '^[a-z]+://[^/?#]*([^?#]*)', 1) AS path
        FROM newest c JOIN spans p ON p.batch > $recent AND p.batch = c.batch AND p.trace_id = c.trace_id AND p.span_id = c.span_id
        WHERE EXISTS (SELECT 1 FROM served WHERE parent_span_id IS NULL AND http_method IS NOT NULL)
    ) n
    JOIN served s ON s.parent_span_id IS NULL AND s.http_method = n.http_method AND s.url_path = n.path
)
SELECT 'all' AS key, 'uninstrumented' AS kind, 'call' AS verdict, NULL AS cause, 'info' AS severity, 'inferred' AS confidence, 'hop' AS role,
    concat_ws('|', 'hop', 'call', h.environment, h.service, h.peer) AS message, NULL AS trace_id, NULL AS producer_span_id, NULL AS message_id,
    h.environment, NULL AS broker, NULL AS vhost, NULL AS queue, NULL AS exchange, NULL AS routing_key, h.service AS producer_service, h.peer AS consumer_service,
    to_json({unseen: h.unseen, first_ns: h.first_ns, protocol: h.protocol}) AS evidence, h.last_ns AS event_ns, h.enough_ns AS facts_until_ns, h.batch
FROM hops h
ANTI JOIN heard s ON s.service = h.service AND s.peer = h.peer AND s.environment IS NOT DISTINCT FROM h.environment
WHERE h.unseen >= (SELECT uninstrumented_messages FROM thresholds)
UNION ALL
SELECT * EXCLUDE (detector) FROM judgements j
WHERE j.detector = 'uninstrumented_calls' AND j.batch <= $recent
  AND NOT EXISTS (SELECT 1 FROM hops h WHERE h.service = j.producer_service AND h.peer = j.consumer_service AND h.environment IS NOT DISTINCT FROM j.environment
    AND h.unseen >= (SELECT uninstrumented_messages FROM thresholds))
  AND NOT EXISTS (
    SELECT 1 FROM spans c JOIN spans s ON s.batch > $recent AND s.kind = 2 AND s.trace_id = c.trace_id AND s.parent_span_id = c.span_id
    WHERE c.batch > $recent AND c.kind = 3 AND c.service = j.producer_service AND c.environment IS NOT DISTINCT FROM j.environment
      AND coalesce(c.peer_service, c.server_address || coalesce(':' || c.server_port, '')) = j.consumer_service);
