SELECT DISTINCT v.message, f.id, f.kind, v.role, f.severity
FROM verdicts v JOIN findings f ON v.kind = f.kind AND v.verdict IS NOT DISTINCT FROM f.verdict AND v.cause IS NOT DISTINCT FROM f.cause
    AND v.environment IS NOT DISTINCT FROM f.environment AND v.broker IS NOT DISTINCT FROM f.broker AND v.vhost IS NOT DISTINCT FROM f.vhost
    AND v.queue IS NOT DISTINCT FROM f.queue AND v.exchange IS NOT DISTINCT FROM f.exchange AND v.routing_key IS NOT DISTINCT FROM f.routing_key
    AND v.producer_service IS NOT DISTINCT FROM f.producer_service
WHERE f.status <> 'retracted' AND v.message IN (SELECT unnest($messages))
ORDER BY v.message, f.id, v.role;
