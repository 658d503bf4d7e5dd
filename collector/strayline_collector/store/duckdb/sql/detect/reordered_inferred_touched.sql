-- Keys of the interval rule: one producer process and one queue, where nobody stamped.
SELECT DISTINCT concat_ws('|', 'spans', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue, p.service, p.instance) AS key
FROM delivery_facts d JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
WHERE d.batch > $since AND p.first_batch >= $from AND d.stamp IS NULL AND d.queue <> '*' AND p.instance IS NOT NULL AND d.instance IS NOT NULL;
