-- Which findings stand, and between whom their messages or calls went.
SELECT DISTINCT v.finding_id AS id, v.kind, v.finding_severity AS severity, v.broker, v.vhost, v.queue, v.exchange, v.producer_service, v.consumer_service,
    v.verdict IS NOT DISTINCT FROM 'call' AS of_calls
FROM finding_verdicts v JOIN findings f ON f.id = v.finding_id
WHERE v.role NOT IN ('overtaker', 'original') AND (v.verdict IS DISTINCT FROM 'call' OR v.consumer_service = f.consumer_service);
