-- A publish whose span names no broker (the Java agent's) went to the one that handed its message out.
UPDATE publish_facts AS p
SET batch = $batch, broker = d.broker, vhost = coalesce(p.vhost, d.vhost)
FROM (
    SELECT publish_trace_id, publish_span_id, min(broker) AS broker, min_by(vhost, broker) AS vhost, max(batch) AS batch FROM delivery_facts
    WHERE first_batch >= $since AND publish_span_id IS NOT NULL AND broker IS NOT NULL
    GROUP BY ALL
) AS d
WHERE p.first_batch >= $since AND p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id AND $batch IN (p.batch, d.batch)
  AND p.broker IS NULL AND p.source = 'spans';
