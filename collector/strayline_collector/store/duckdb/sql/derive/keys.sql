-- What a publish's span leaves open (contrib's pika: the key, and whether its one name is the exchange's or
-- the default exchange's key) and the message's handling tells, unless it died on the way.
UPDATE publish_facts AS p
SET batch = $batch, exchange = d.exchange, routing_key = d.routing_key
FROM (
    SELECT publish_trace_id, publish_span_id, exchange, min(routing_key) AS routing_key, max(batch) AS batch FROM delivery_facts
    WHERE first_batch >= $since AND publish_span_id IS NOT NULL AND routing_key IS NOT NULL AND death IS NULL AND (source = 'shim' OR exchange = '')
      AND publish_span_id IN (SELECT span_id FROM publish_facts WHERE first_batch >= $since AND routing_key IS NULL AND source = 'spans')
    GROUP BY ALL
) AS d
WHERE p.first_batch >= $since AND p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id AND $batch IN (p.batch, d.batch)
  AND p.routing_key IS NULL AND p.source = 'spans' AND (d.exchange = p.exchange OR d.exchange = '' AND d.routing_key = p.exchange);
