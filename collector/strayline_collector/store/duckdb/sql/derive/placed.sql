UPDATE delivery_facts AS d
SET batch = $batch, broker = p.broker, broker_inferred = p.broker IS NOT NULL, vhost = p.vhost, vhost_inferred = p.vhost_inferred
FROM placements p
WHERE d.trace_id = p.trace_id AND d.span_id = p.span_id;
