-- One row a trace. The comments are filled in by query/search.py with fixed text and parameter
-- names only; values are bound.
WITH matching AS (
    SELECT trace_id, span_id, parent_span_id, service, name, start_ns, end_ns, status_code
    FROM distinct_spans
    WHERE start_ns BETWEEN $start_ns AND $end_ns
), trace AS (
    SELECT m.trace_id, min(m.start_ns) AS start_ns, max(m.end_ns) AS end_ns, count(*) AS spans,
        count(*) FILTER (WHERE m.status_code = 2) AS errors, list_sort(list(DISTINCT m.service)) AS services,
        min({rank: CASE WHEN m.parent_span_id IS NULL THEN 0 ELSE 1 END, start_ns: m.start_ns, service: m.service, name: m.name}) AS root
    FROM matching m GROUP BY m.trace_id
), waits AS (
    SELECT d.trace_id, max(greatest(0, d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END)) / 1e6 AS queue_wait_ms
    FROM delivery_facts d JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
    GROUP BY d.trace_id
), flagged AS (
    SELECT trace_id, count(DISTINCT (kind, verdict, cause, queue, routing_key)) AS findings FROM verdicts
    WHERE role NOT IN ('overtaker', 'original') AND trace_id IS NOT NULL GROUP BY trace_id
)
SELECT t.*, (t.end_ns - t.start_ns) AS duration_ns, w.queue_wait_ms, coalesce(f.findings, 0) AS findings
FROM trace t
LEFT JOIN waits w USING (trace_id)
LEFT JOIN flagged f USING (trace_id)
WHERE true /* terms */
ORDER BY /* order */ t.trace_id
LIMIT $limit OFFSET $offset;
