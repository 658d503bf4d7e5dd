-- Which findings stand, and between whom their messages went.
SELECT DISTINCT f.id, f.kind, f.severity, v.broker, v.vhost, v.queue, v.exchange, v.producer_service, v.consumer_service
FROM findings f
JOIN verdicts v ON v.kind = f.kind AND v.verdict IS NOT DISTINCT FROM f.verdict AND v.cause IS NOT DISTINCT FROM f.cause
    AND v.environment IS NOT DISTINCT FROM f.environment AND v.broker IS NOT DISTINCT FROM f.broker AND v.vhost IS NOT DISTINCT FROM f.vhost
    AND v.queue IS NOT DISTINCT FROM f.queue AND v.exchange IS NOT DISTINCT FROM f.exchange AND v.routing_key IS NOT DISTINCT FROM f.routing_key
    AND v.producer_service IS NOT DISTINCT FROM f.producer_service
WHERE f.status <> 'retracted' AND v.role NOT IN ('overtaker', 'original');
