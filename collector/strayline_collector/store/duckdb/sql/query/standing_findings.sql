-- Which findings stand, and between whom their messages or calls went.
SELECT DISTINCT finding_id AS id, kind, finding_severity AS severity, broker, vhost, queue, exchange, producer_service, consumer_service,
    verdict IS NOT DISTINCT FROM 'call' AS of_calls
FROM finding_verdicts WHERE role NOT IN ('overtaker', 'original');
