-- Every distinct way a message came into a touched queue, with the times of its publishes. Only
-- publishes that were seen: without one nobody knows what was bound when it was routed.
SELECT concat_ws('|', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue) AS key,
    d.environment, d.broker, d.vhost, d.queue, d.exchange, d.routing_key, p.routing_headers,
    min(p.start_ns) AS first_ns, max(p.start_ns) AS last_ns
FROM delivery_facts d
JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
WHERE d.death IS NULL AND d.exchange <> '' AND d.routing_key IS NOT NULL
  AND p.exchange = d.exchange AND p.routing_key = d.routing_key
  AND concat_ws('|', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue) IN (SELECT key FROM touched)
GROUP BY ALL;
