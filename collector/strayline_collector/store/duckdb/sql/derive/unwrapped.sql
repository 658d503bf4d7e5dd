-- The outer ones of wrapped.sql.
DELETE FROM publish_facts AS o
USING publish_facts i
WHERE i.first_batch >= $since AND o.first_batch >= $since AND $batch IN (i.batch, o.batch)
  AND o.trace_id = i.trace_id AND o.span_id = i.parent_span_id AND o.source = 'spans'
  AND o.service = i.service AND o.instance IS NOT DISTINCT FROM i.instance
  AND o.exchange = i.exchange AND coalesce(o.routing_key = i.routing_key, true) AND coalesce(o.message_id = i.message_id, true);
