-- One row a trace of those `found`. The comments are filled in by query/search.py with fixed text
-- and parameter names only; values are bound.
WITH trace AS (
    SELECT m.trace_id, min(m.start_ns) AS start_ns, max(m.end_ns) AS end_ns, count(*) AS spans,
        count(*) FILTER (WHERE m.status_code = 2) AS errors, list_sort(list(DISTINCT m.service)) AS services,
        min({rank: CASE WHEN m.parent_span_id IS NULL THEN 0 ELSE 1 END, start_ns: m.start_ns, service: m.service, name: m.name}) AS root
        /* flags */
    FROM distinct_spans m
    WHERE m.batch BETWEEN $first_batch AND $last_batch AND m.trace_id IN (SELECT trace_id FROM found)
      AND m.start_ns BETWEEN $start_ns AND $end_ns
    GROUP BY m.trace_id
), delivered AS (
    SELECT d.trace_id, d.handled_start_ns, d.publish_trace_id, d.publish_span_id FROM delivery_facts d
    WHERE d.first_batch BETWEEN $first_batch AND $last_batch AND d.publish_trace_id IS NOT NULL AND d.trace_id IN (SELECT trace_id FROM found)
), waits AS (
    SELECT d.trace_id, max(greatest(0, d.handled_start_ns - CASE WHEN p.end_ns <= d.handled_start_ns THEN p.end_ns ELSE p.start_ns END)) / 1e6 AS queue_wait_ms
    FROM delivered d JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
    GROUP BY d.trace_id
), flagged AS (
    SELECT trace_id, count(DISTINCT (kind, verdict, cause, queue, routing_key)) AS findings FROM verdicts
    WHERE role NOT IN ('overtaker', 'original') AND trace_id IS NOT NULL GROUP BY trace_id
)
SELECT t.trace_id, t.start_ns, t.end_ns, t.spans, t.errors, t.services, t.root, w.queue_wait_ms, coalesce(f.findings, 0) AS findings,
    /* sort */ AS sorted_by
FROM trace t
LEFT JOIN waits w USING (trace_id)
LEFT JOIN flagged f USING (trace_id)
WHERE t.start_ns >= $since_ns /* terms */
ORDER BY sorted_by /* direction */, t.trace_id
LIMIT $limit;
