-- Keys of the interval rule: one producer process and one queue, where nobody stamped.
WITH unstamped AS MATERIALIZED (     -- where all is stamped, no publish is looked for
    SELECT DISTINCT environment, broker, vhost, queue, publish_trace_id, publish_span_id FROM delivery_facts
    WHERE batch > $since AND stamp IS NULL AND NOT starts_with(queue, '*') AND instance IS NOT NULL AND publish_span_id IS NOT NULL
)
SELECT DISTINCT concat_ws('|', 'spans', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue, p.service, p.instance) AS key
FROM unstamped d JOIN (SELECT p.* FROM publish_facts p, (SELECT count(*) AS deliveries FROM unstamped) WHERE deliveries > 0) p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
WHERE p.first_batch >= $from AND p.instance IS NOT NULL;
