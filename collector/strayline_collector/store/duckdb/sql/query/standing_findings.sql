-- Which findings stand, and between whom their messages went.
SELECT DISTINCT finding_id AS id, kind, finding_severity AS severity, broker, vhost, queue, exchange, producer_service, consumer_service
FROM finding_verdicts
WHERE role NOT IN ('overtaker', 'original');
