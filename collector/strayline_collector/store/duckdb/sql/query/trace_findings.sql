-- Findings of the messages whose publish or delivery is a span of these traces.
SELECT DISTINCT finding_id AS id, trace_id, producer_span_id AS span_id
FROM finding_verdicts
WHERE role NOT IN ('overtaker', 'original') AND trace_id IN (SELECT unnest($trace_ids))
UNION
SELECT DISTINCT v.finding_id, d.trace_id, d.span_id
FROM finding_verdicts v
JOIN delivery_facts d ON d.message = v.message AND (v.queue IS NULL OR v.queue = '*' OR d.queue = v.queue)
WHERE v.role NOT IN ('overtaker', 'original') AND d.trace_id IN (SELECT unnest($trace_ids));
