-- The publish that stays takes the other's place from the start, and lasts until its sending ended.
UPDATE publish_facts AS p
SET batch = $batch, first_batch = least(p.first_batch, w.first_batch), end_ns = greatest(p.end_ns, w.end_ns)
FROM (SELECT trace_id, span_id, min(first_batch) AS first_batch, max(end_ns) AS end_ns FROM wrapping GROUP BY ALL) w
WHERE p.first_batch >= $since AND p.trace_id = w.trace_id AND p.span_id = w.span_id;
