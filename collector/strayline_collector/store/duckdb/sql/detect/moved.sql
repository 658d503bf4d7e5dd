-- Of the messages that triaged findings had (`triaged`), where each is now.
SELECT t.id AS left_id, count(DISTINCT t.message) AS messages, v.kind, v.verdict, v.cause, v.environment, v.broker, v.vhost, v.queue,
    v.exchange, v.routing_key, v.producer_service, CASE WHEN v.verdict = 'call' THEN v.consumer_service END AS consumer_service
FROM triaged t
JOIN verdicts v ON v.message = t.message AND v.kind = t.kind AND v.queue IS NOT DISTINCT FROM t.queue AND v.role NOT IN ('overtaker', 'original')
GROUP BY ALL;
