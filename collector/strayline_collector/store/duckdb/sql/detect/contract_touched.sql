-- Keys of `misrouted: contract`: one queue. New deliveries touch theirs, and so do publishes that
-- came, or were told more of, after their deliveries.
SELECT DISTINCT concat_ws('|', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue) AS key
FROM delivery_facts d
LEFT JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id AND p.batch > $since
WHERE d.queue IS NOT NULL AND (d.batch > $since OR p.batch > $since);
