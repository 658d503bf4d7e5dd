-- A PRODUCER span around another one of the same process, exchange and key tells the same publish: both
-- layers of pika's blocking channel are wrapped by its contrib instrumentation, and frameworks have spans
-- above their client's. The inner one is whose context travels; it takes the other's place from the start.
UPDATE publish_facts AS i
SET batch = $batch, first_batch = least(i.first_batch, o.first_batch)
FROM publish_facts o
WHERE i.first_batch >= $since AND o.first_batch >= $since AND $batch IN (i.first_batch, o.first_batch)
  AND o.trace_id = i.trace_id AND o.span_id = i.parent_span_id AND o.source = 'spans'
  AND o.service = i.service AND o.instance IS NOT DISTINCT FROM i.instance
  AND o.exchange = i.exchange AND coalesce(o.routing_key = i.routing_key, true) AND coalesce(o.message_id = i.message_id, true);
