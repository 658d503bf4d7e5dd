-- A file of schema version 7 becomes one of version 8: two peers of one caller are two findings' rows.
CREATE OR REPLACE VIEW finding_verdicts AS
SELECT f.id AS finding_id, f.severity AS finding_severity, v.*
FROM findings f
JOIN verdicts v ON v.kind = f.kind AND v.verdict IS NOT DISTINCT FROM f.verdict AND v.cause IS NOT DISTINCT FROM f.cause
    AND v.environment IS NOT DISTINCT FROM f.environment AND v.broker IS NOT DISTINCT FROM f.broker AND v.vhost IS NOT DISTINCT FROM f.vhost
    AND v.queue IS NOT DISTINCT FROM f.queue AND v.exchange IS NOT DISTINCT FROM f.exchange AND v.routing_key IS NOT DISTINCT FROM f.routing_key
    AND v.producer_service IS NOT DISTINCT FROM f.producer_service
    AND (f.verdict IS DISTINCT FROM 'call' OR v.consumer_service IS NOT DISTINCT FROM f.consumer_service)
WHERE f.status <> 'retracted';
UPDATE meta SET value = '8' WHERE key = 'schema_version';
