-- The same for settlements that name their delivery by epoch and `channel.tag`: whoever settled is
-- not who handled, as with the pool of a Celery worker.
UPDATE delivery_facts AS d
SET batch = $batch, settlement = s.settlement, settled_ns = s.settled_ns
FROM (
    SELECT f.trace_id AS epoch, f.span_id AS tag, f.settlement, f.settled_ns, max(f.batch) OVER (PARTITION BY f.trace_id, f.span_id) AS batch
    FROM settlement_facts f
    WHERE f.batch >= $since AND length(f.trace_id) = 16   -- an epoch; trace ids have 32
    QUALIFY row_number() OVER (PARTITION BY f.trace_id, f.span_id ORDER BY f.settled_ns, f.settlement) = 1
) AS s
WHERE d.first_batch >= $since AND d.epoch = s.epoch AND d.channel || '.' || d.delivery_tag = s.tag
  AND (d.batch = $batch OR s.batch = $batch)
  AND d.settlement IS NULL;
