-- The operation of a publish is the name of its local root span: the nearest ancestor in its own
-- process that is a SERVER or CONSUMER, else the topmost one. Ancestors end, and so arrive, after
-- the publish: what is not here yet is awaited.
WITH RECURSIVE near AS MATERIALIZED (
    SELECT s.trace_id, s.span_id, any_value(s.parent_span_id) AS parent_span_id, min(s.name) AS name,
        min(s.kind) AS kind, min(s.service) AS service, min(s.process) AS process
    FROM spans s
    WHERE s.batch >= $since AND s.trace_id IN (SELECT trace_id FROM climbing)
    GROUP BY s.trace_id, s.span_id
), climb AS (
    SELECT f.trace_id, f.span_id AS publish, c.first_batch, c.since_batch, f.service, f.instance, f.parent_span_id AS next,
        f.span_id AS top, f.name, false AS done, 0 AS depth
    FROM climbing c JOIN (
        SELECT trace_id, span_id, service, instance, parent_span_id, operation AS name FROM publish_facts WHERE first_batch >= $since
    ) f ON f.trace_id = c.trace_id AND f.span_id = c.span_id
    UNION ALL
    SELECT c.trace_id, c.publish, c.first_batch, c.since_batch, c.service, c.instance, n.parent_span_id, n.span_id, n.name,
        n.kind IN (2, 5), c.depth + 1
    FROM climb c JOIN near n ON n.trace_id = c.trace_id AND n.span_id = c.next
    WHERE NOT c.done AND c.depth < 256
      AND n.service = c.service AND n.process IS NOT DISTINCT FROM c.instance
), topmost AS (
    SELECT * FROM climb QUALIFY row_number() OVER (PARTITION BY trace_id, publish ORDER BY depth DESC, top) = 1
)
SELECT t.trace_id, t.publish AS span_id, t.first_batch, t.since_batch, t.top AS top_span_id, t.name,
    -- a parent that is here and was not climbed to is another process's
    CASE WHEN NOT t.done AND n.span_id IS NULL THEN t.next END AS awaited_span_id
FROM topmost t LEFT JOIN near n ON n.trace_id = t.trace_id AND n.span_id = t.next;
