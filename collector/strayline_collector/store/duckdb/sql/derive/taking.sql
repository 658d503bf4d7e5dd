-- A CONSUMER span that processes what a `receive` span of its own process took, its parent, tells the same
-- delivery. Of `told` at least one of the two; `handling` is null where the inner span names no messaging
-- system (Ruby's bunny), and only its link says which message it was. The shim's spans never need it.
WITH traces AS (
    SELECT DISTINCT trace_id FROM told WHERE kind IN (3, 5) AND NOT contains(attributes, '"strayline.queue"') AND (messaging_operation IN ('receive', 'process') OR messaging_system IS NULL AND links IS NOT NULL)
), near AS MATERIALIZED (
    SELECT batch, trace_id, span_id, parent_span_id, service, process, messaging_system, messaging_operation, start_ns, end_ns, status_code, links
    FROM spans
    WHERE batch >= $since AND trace_id IN (SELECT trace_id FROM traces) AND (kind IN (3, 5) AND messaging_operation = 'receive'
        OR kind = 5 AND parent_span_id IS NOT NULL AND (messaging_operation = 'process' OR messaging_system IS NULL AND ends_with(name, ' process') AND links IS NOT NULL))
)
SELECT DISTINCT o.trace_id, o.span_id AS taken_span_id, i.span_id AS handling_span_id, i.messaging_system IS NULL AS silent,
    i.start_ns, i.end_ns, i.status_code = 2 AS failed,
    CASE WHEN (i.links->>'$[1].span_id') IS NULL THEN i.links->>'$[0].trace_id' END AS linked_trace_id,
    CASE WHEN (i.links->>'$[1].span_id') IS NULL THEN i.links->>'$[0].span_id' END AS linked_span_id
FROM near i JOIN near o ON o.trace_id = i.trace_id AND o.span_id = i.parent_span_id AND o.messaging_operation = 'receive'
    AND o.messaging_system = 'rabbitmq' AND o.service = i.service AND o.process IS NOT DISTINCT FROM i.process
WHERE i.messaging_operation IS DISTINCT FROM 'receive' AND coalesce(i.messaging_system, 'rabbitmq') = 'rabbitmq' AND $batch IN (i.batch, o.batch);
