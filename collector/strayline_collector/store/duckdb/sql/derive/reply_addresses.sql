-- Where replies go of which no span says it (stock instrumentations tell no `reply_to`): an answer with the
-- request's correlation id, sent to a queue by name while the request was handled by another service,
-- that came back to the service which had asked. The Java agent tells no correlation ids: there an answer is
-- what went to a queue that the broker had named. Of several addresses the first by name, whatever came first.
UPDATE publish_facts AS p
SET batch = $batch, reply_to = a.address
FROM (
    SELECT q.trace_id, q.span_id, min(r.routing_key) AS address
    FROM publish_facts r
    JOIN delivery_facts h ON h.first_batch >= $since AND h.trace_id = r.trace_id AND h.span_id = r.operation_span_id
    JOIN publish_facts q ON q.first_batch >= $since AND q.trace_id = h.publish_trace_id AND q.span_id = h.publish_span_id
    JOIN delivery_facts d ON d.first_batch >= $since AND d.publish_trace_id = r.trace_id AND d.publish_span_id = r.span_id
    WHERE r.first_batch >= $since AND r.exchange = '' AND q.source = 'spans'
      AND NOT starts_with(r.routing_key, 'amq.rabbitmq.reply-to')
      AND d.service = q.service
      AND CASE WHEN r.correlation_id IS NULL AND q.correlation_id IS NULL THEN d.queue IN ('*', r.routing_key) AND starts_with(r.routing_key, 'amq.gen-')
          ELSE r.correlation_id = q.correlation_id AND d.queue = r.routing_key AND (h.service <> q.service OR starts_with(r.routing_key, 'amq.gen-')) END
      AND $batch IN (q.batch, h.batch, r.batch, d.batch)
    GROUP BY ALL
) AS a
WHERE p.first_batch >= $since AND p.trace_id = a.trace_id AND p.span_id = a.span_id AND coalesce(a.address < p.reply_to, true);
