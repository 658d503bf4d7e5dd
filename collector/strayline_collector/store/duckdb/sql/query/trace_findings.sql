-- Findings of the messages whose publish or delivery is a span of these traces.
SELECT DISTINCT f.id, v.trace_id AS trace_id, v.producer_span_id AS span_id
FROM verdicts v JOIN findings f ON v.kind = f.kind AND v.verdict IS NOT DISTINCT FROM f.verdict AND v.cause IS NOT DISTINCT FROM f.cause
    AND v.environment IS NOT DISTINCT FROM f.environment AND v.broker IS NOT DISTINCT FROM f.broker AND v.vhost IS NOT DISTINCT FROM f.vhost
    AND v.queue IS NOT DISTINCT FROM f.queue AND v.exchange IS NOT DISTINCT FROM f.exchange AND v.routing_key IS NOT DISTINCT FROM f.routing_key
    AND v.producer_service IS NOT DISTINCT FROM f.producer_service
WHERE f.status <> 'retracted' AND v.role NOT IN ('overtaker', 'original') AND v.trace_id IN (SELECT unnest($trace_ids))
UNION
SELECT DISTINCT f.id, d.trace_id, d.span_id
FROM verdicts v JOIN findings f ON v.kind = f.kind AND v.verdict IS NOT DISTINCT FROM f.verdict AND v.cause IS NOT DISTINCT FROM f.cause
    AND v.environment IS NOT DISTINCT FROM f.environment AND v.broker IS NOT DISTINCT FROM f.broker AND v.vhost IS NOT DISTINCT FROM f.vhost
    AND v.queue IS NOT DISTINCT FROM f.queue AND v.exchange IS NOT DISTINCT FROM f.exchange AND v.routing_key IS NOT DISTINCT FROM f.routing_key
    AND v.producer_service IS NOT DISTINCT FROM f.producer_service
JOIN delivery_facts d ON d.message = v.message AND (f.queue IS NULL OR f.queue = '*' OR d.queue = f.queue)
WHERE f.status <> 'retracted' AND v.role NOT IN ('overtaker', 'original') AND d.trace_id IN (SELECT unnest($trace_ids));
