-- Messages of the range to hops that findings call uninstrumented: nobody is ever seen to handle them.
WITH hop AS (
    SELECT finding_id AS id, environment, broker, vhost, queue,
        unnest(from_json(evidence->'$.via', '[{"exchange": "VARCHAR", "routing_key": "VARCHAR", "service": "VARCHAR"}]')) AS via
    FROM finding_verdicts
    WHERE kind = 'uninstrumented' AND verdict IS DISTINCT FROM 'call'
)
SELECT h.id, h.queue, coalesce(h.queue, concat_ws(' ', p.exchange, nullif(p.routing_key, ''))) AS peer, p.broker, p.vhost, p.exchange, p.service AS producer, count(DISTINCT p.message) AS messages
FROM hop h JOIN publish_facts p ON p.exchange = h.via.exchange AND p.routing_key = h.via.routing_key AND p.service = h.via.service
    AND p.environment IS NOT DISTINCT FROM h.environment AND p.broker IS NOT DISTINCT FROM h.broker AND p.vhost IS NOT DISTINCT FROM h.vhost
WHERE p.start_ns BETWEEN $start_ns AND $end_ns
GROUP BY ALL ORDER BY ALL;
