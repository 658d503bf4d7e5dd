-- Publishes whose operation may be known now: this load's own, and those that waited for a span
-- that it brought.
SELECT trace_id, span_id, first_batch, $since AS since_batch FROM publish_facts WHERE first_batch >= $since AND batch = $batch
UNION
SELECT o.trace_id, o.span_id, o.first_batch, o.since_batch
FROM open_operations o SEMI JOIN spans s ON s.batch = $batch AND s.trace_id = o.trace_id AND s.span_id = o.awaited_span_id;
