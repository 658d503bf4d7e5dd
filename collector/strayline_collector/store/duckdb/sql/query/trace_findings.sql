-- Findings of the messages whose publish or delivery is a span of these traces. `among` as in query/judged.py.
WITH standing AS (
    SELECT finding_id, message, queue, trace_id, producer_span_id FROM finding_verdicts
    WHERE role NOT IN ('overtaker', 'original') AND ($among IS NULL OR list_contains($among, message))
)
SELECT finding_id AS id, trace_id, producer_span_id AS span_id
FROM standing WHERE trace_id IN (SELECT unnest($trace_ids))
UNION
SELECT v.finding_id, d.trace_id, d.span_id
FROM standing v
JOIN delivery_facts d ON d.message = v.message AND (v.queue IS NULL OR v.queue = '*' OR d.queue = v.queue)
WHERE d.trace_id IN (SELECT unnest($trace_ids));
