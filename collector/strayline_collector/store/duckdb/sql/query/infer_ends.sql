-- Both ends of calls and messages near a story, the nearest first: what each says of the call, and
-- the attributes of those that may have lost their other end. `named`: a span says that this caused it.
WITH near AS MATERIALIZED (
    SELECT * FROM distinct_spans
    WHERE kind BETWEEN 2 AND 5 AND start_ns BETWEEN $start_ns AND $end_ns AND db_system IS NULL
      AND (kind <> 3 OR messaging_system IS NULL)
    ORDER BY greatest($first_ns - start_ns, start_ns - $last_ns, 0), start_ns, trace_id, span_id, kind
    LIMIT $limit
), loads AS (
    SELECT min(batch) AS first_batch, max(batch) AS last_batch FROM near
), named AS (
    SELECT trace_id, parent_span_id AS span_id FROM distinct_spans
    WHERE kind IN (2, 5) AND start_ns BETWEEN $start_ns AND $until_ns AND trace_id IN (SELECT trace_id FROM near)
    UNION
    SELECT to_trace_id, to_span_id FROM span_links WHERE to_trace_id IN (SELECT trace_id FROM near)
), linked AS (
    SELECT trace_id, span_id, min(to_trace_id) AS to_trace_id, min(to_span_id) AS to_span_id, count(*) AS links FROM span_links
    WHERE batch BETWEEN (SELECT first_batch FROM loads) AND (SELECT last_batch FROM loads) AND trace_id IN (SELECT trace_id FROM near)
    GROUP BY trace_id, span_id
)
SELECT s.trace_id, s.span_id, s.parent_span_id, l.to_trace_id, l.to_span_id, coalesce(l.links, 0) AS links, n.span_id IS NOT NULL AS named,
    s.kind, s.service, s.name, s.start_ns, s.end_ns, coalesce(s.host, s.process, s.service) AS clock, d.received_ns,
    CASE WHEN s.messaging_system = 'rabbitmq' THEN 'amqp' ELSE coalesce(s.messaging_system, s.rpc_system, CASE WHEN s.http_method IS NOT NULL THEN 'http' ELSE 'other' END) END AS protocol,
    s.http_method AS method,
    coalesce(s.url_path, CASE WHEN s.kind = 3 THEN regexp_extract(coalesce(s.attributes->>'$."url.full"', s.attributes->>'$."http.url"'), '^[a-z]+://[^/?#]+([^?#]*)', 1) END) AS path,
    s.rpc_service || '/' || s.rpc_method AS rpc,
    CASE WHEN s.kind IN (2, 3) THEN s.server_address || coalesce(':' || s.server_port, '') END AS address,
    -- `{exchange}:{queue}` of now, where no attribute names the exchange
    coalesce(p.exchange, d.exchange, regexp_extract(d.name_hint, '^destination:([^:]+):', 1)) AS exchange, coalesce(p.routing_key, d.routing_key) AS routing_key,
    coalesce(s.attributes->>'$."messaging.destination.name"', s.attributes->>'$."messaging.destination"') AS destination,
    coalesce(p.message_id, d.message_id) AS message_id, coalesce(p.correlation_id, d.correlation_id) AS correlation_id,
    CASE WHEN p.stamp_ok THEN p.message WHEN d.stamp_ok THEN array_to_string(string_split(d.stamp, '.')[2:4], '.') END AS stamp,
    coalesce(d.queue, s.name) AS queue,
    CASE WHEN n.span_id IS NULL AND (s.kind IN (3, 4) OR s.parent_span_id IS NULL) OR s.kind = 4 THEN s.attributes END AS attributes
FROM near s
LEFT JOIN named n ON n.trace_id = s.trace_id AND n.span_id = s.span_id AND s.kind IN (3, 4)
LEFT JOIN linked l ON l.trace_id = s.trace_id AND l.span_id = s.span_id
LEFT JOIN publish_facts p ON s.kind = 4 AND p.trace_id = s.trace_id AND p.span_id = s.span_id
    AND p.first_batch BETWEEN (SELECT first_batch FROM loads) AND (SELECT last_batch FROM loads)
LEFT JOIN delivery_facts d ON s.kind = 5 AND d.trace_id = s.trace_id AND d.span_id = s.span_id
    AND d.first_batch BETWEEN (SELECT first_batch FROM loads) AND (SELECT last_batch FROM loads)
ORDER BY s.start_ns, s.trace_id, s.span_id, s.kind;
