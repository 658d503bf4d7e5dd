-- Deliveries whose spans name no broker, and which one they are thought of at, where that is not what they say:
-- those of this load, and all of the queues of which something new is known (`placed_queues`). A queue is where
-- its reader's messages came from, if that broker has a queue of the name and no other known one has: else
-- nothing is thought. By environment, and virtual host where that is told.
WITH new AS (
    SELECT * FROM delivery_facts WHERE first_batch >= $since AND batch = $batch
    UNION ALL
    SELECT d.* FROM delivery_facts d SEMI JOIN placed_queues q ON q.queue = d.queue WHERE NOT (d.first_batch >= $since AND d.batch = $batch)
), asked AS (
    SELECT trace_id, span_id, batch, message, environment, service, queue, broker, vhost, CASE WHEN vhost_inferred IS DISTINCT FROM true THEN vhost END AS told_vhost
    FROM new
    WHERE (broker IS NULL OR broker_inferred) AND queue IS NOT NULL AND NOT regexp_matches(queue, '^(amq\.|\*)')
), ends AS (
    SELECT DISTINCT environment, service, queue, told_vhost FROM asked
), known AS (        -- a virtual host that only some leave out is known
    SELECT environment, broker, vhost, queue FROM queue_places WHERE queue IN (SELECT queue FROM ends)
    QUALIFY vhost IS NOT NULL OR count(vhost) OVER (PARTITION BY environment, broker, queue) = 0
), came AS (
    SELECT environment, service, queue, min(broker) AS broker FROM queue_readers WHERE queue IN (SELECT queue FROM ends)
    GROUP BY environment, service, queue HAVING count(DISTINCT broker) = 1
), found AS (
    SELECT e.environment, e.service, e.queue, e.told_vhost, min(k.broker) AS broker, coalesce(e.told_vhost, min(k.vhost)) AS vhost
    FROM ends e
    JOIN came c ON c.queue = e.queue AND c.service = e.service AND c.environment IS NOT DISTINCT FROM e.environment
    JOIN known k ON k.queue = e.queue AND coalesce(k.environment = e.environment, true) AND coalesce(k.vhost = e.told_vhost, true)
    GROUP BY e.environment, e.service, e.queue, e.told_vhost
    HAVING count(DISTINCT k.broker) = 1 AND count(DISTINCT k.vhost) <= 1 AND min(k.broker) = min(c.broker)
)
SELECT a.trace_id, a.span_id, f.broker, coalesce(f.vhost, a.told_vhost) AS vhost, a.told_vhost IS NULL AS vhost_inferred,
    a.batch < $batch AND a.message IS NOT NULL AS moved   -- judged where it stood, perhaps
FROM asked a
LEFT JOIN found f ON f.queue = a.queue AND f.service = a.service AND f.environment IS NOT DISTINCT FROM a.environment AND f.told_vhost IS NOT DISTINCT FROM a.told_vhost
WHERE f.broker IS DISTINCT FROM a.broker OR coalesce(f.vhost, a.told_vhost) IS DISTINCT FROM a.vhost;
