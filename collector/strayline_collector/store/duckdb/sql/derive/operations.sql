-- The operation of a publish is the name of its local root span: the nearest ancestor in its own
-- process that is a SERVER or CONSUMER, else the topmost one. Ancestors end, and so arrive, after
-- the publish: every load climbs again from the publishes of the traces it touched.
UPDATE publish_facts AS p
SET operation = r.name, operation_span_id = r.span_id, batch = $batch
FROM (
    WITH RECURSIVE touched AS (
        SELECT DISTINCT trace_id FROM spans WHERE batch = $batch
    ), near AS (
        SELECT s.trace_id, s.span_id, any_value(s.parent_span_id) AS parent_span_id, min(s.name) AS name,
            min(s.kind) AS kind, min(s.service) AS service, min(s.process) AS process
        FROM spans s SEMI JOIN touched USING (trace_id)
        WHERE s.batch >= $since_batch
        GROUP BY s.trace_id, s.span_id
    ), climb AS (
        SELECT f.trace_id, f.span_id AS publish, f.service, f.instance, f.parent_span_id AS next,
            f.span_id AS top, NULL::VARCHAR AS name, false AS done, 0 AS depth
        FROM publish_facts f SEMI JOIN touched USING (trace_id)
        UNION ALL
        SELECT c.trace_id, c.publish, c.service, c.instance, n.parent_span_id, n.span_id, n.name,
            n.kind IN (2, 5), c.depth + 1
        FROM climb c JOIN near n ON n.trace_id = c.trace_id AND n.span_id = c.next
        WHERE NOT c.done AND c.depth < 256
          AND n.service = c.service AND n.process IS NOT DISTINCT FROM c.instance
    )
    SELECT trace_id, publish, top AS span_id, name
    FROM climb
    WHERE depth > 0
    QUALIFY row_number() OVER (PARTITION BY trace_id, publish ORDER BY depth DESC, top) = 1
) AS r
WHERE p.trace_id = r.trace_id AND p.span_id = r.publish AND p.operation_span_id <> r.span_id;
