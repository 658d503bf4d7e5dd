-- Late settlements meet their deliveries, whichever of the two came last.
UPDATE delivery_facts AS d
SET batch = $batch, settlement = s.settlement, settled_ns = s.settled_ns
FROM (
    SELECT f.trace_id, f.span_id, f.settlement, f.settled_ns, max(f.batch) OVER (PARTITION BY f.trace_id, f.span_id) AS batch
    FROM settlement_facts f
    WHERE f.batch >= $since
    QUALIFY row_number() OVER (PARTITION BY f.trace_id, f.span_id ORDER BY f.settled_ns, f.settlement) = 1
) AS s
WHERE d.first_batch >= $since AND d.trace_id = s.trace_id AND d.span_id = s.span_id
  AND (d.batch = $batch OR s.batch = $batch)
  AND d.settlement IS NULL;
