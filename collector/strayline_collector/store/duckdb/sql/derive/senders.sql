-- A publish whose span names no broker (the Java agent's) went to the one that handed its message out.
UPDATE publish_facts AS p
SET batch = $batch, broker = d.place.broker, broker_inferred = true,
    vhost = CASE WHEN p.vhost_inferred OR p.vhost IS NULL THEN d.place.vhost ELSE p.vhost END, vhost_inferred = p.vhost_inferred OR p.vhost IS NULL
FROM (
    SELECT publish_trace_id, publish_span_id, min({broker: broker, vhost: vhost}) FILTER (WHERE broker IS NOT NULL) AS place, max(batch) AS batch FROM delivery_facts
    WHERE first_batch >= $since AND publish_span_id IS NOT NULL
    GROUP BY publish_trace_id, publish_span_id
) AS d
WHERE p.first_batch >= $since AND p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id AND $batch IN (p.batch, d.batch)
  AND (p.broker IS NULL OR p.broker_inferred) AND p.source = 'spans'
  AND (p.broker IS DISTINCT FROM d.place.broker OR coalesce(p.vhost_inferred, p.vhost IS NULL) AND p.vhost IS DISTINCT FROM d.place.vhost);
