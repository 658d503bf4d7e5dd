-- Returns meet their publishes, whichever of the two came last.
UPDATE publish_facts AS p
SET batch = $batch, outcome = 'returned'
FROM (
    SELECT trace_id, span_id, max(batch) AS batch FROM return_facts WHERE batch >= $since GROUP BY trace_id, span_id
) AS r
WHERE p.first_batch >= $since AND p.trace_id = r.trace_id AND p.span_id = r.span_id
  AND (p.batch = $batch OR r.batch = $batch)
  AND p.outcome IS DISTINCT FROM 'returned';
