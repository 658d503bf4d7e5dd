-- Each listener's span takes the queue that is surely its own: all that was handed over of the message in
-- this process came from one queue; or all that had been when it began; or, each handing over
-- being listened to once, all since the last moment at which none was open. Else two queues' listeners may have
-- run in either order, or one of them twice, and which queue it was is unknown. What was handed over and not
-- listened to yet is no delivery until then.
UPDATE delivery_facts AS d
SET batch = $batch, queue = r.queue, exchange = r.exchange, routing_key = coalesce(r.routing_key, d.routing_key), received_ns = coalesce(r.received_ns, d.handled_start_ns)
FROM (
    WITH events AS (
        SELECT hash(g.service, g.instance, g.context_trace_id, g.context_span_id) AS told_of, e.*
        FROM (
            SELECT service, instance, context_trace_id, context_span_id, trace_id, span_id, handled_start_ns AS at_ns, 1 AS heard,
                NULL::VARCHAR AS queue, NULL::VARCHAR AS exchange, NULL::VARCHAR AS routing_key
            FROM delivery_facts WHERE first_batch >= $since AND starts_with(name_hint, 'key:')
            UNION ALL
            SELECT service, instance, context_trace_id, context_span_id, trace_id, span_id, received_ns, 0, queue, exchange, routing_key
            FROM handover_facts WHERE first_batch >= $since
        ) e
        JOIN handing g ON g.context_trace_id = e.context_trace_id AND g.context_span_id = e.context_span_id
            AND g.service = e.service AND g.instance IS NOT DISTINCT FROM e.instance
    ), counted AS (
        SELECT *, sum(1 - 2 * heard) OVER so_far AS open,
            min(queue) OVER so_far AS least_before, max(queue) OVER so_far AS greatest_before,
            min(queue) OVER whole AS least, max(queue) OVER whole AS greatest,
            min(exchange) OVER whole AS least_exchange, max(exchange) OVER whole AS greatest_exchange
        FROM events
        WINDOW whole AS (PARTITION BY told_of),
            so_far AS (PARTITION BY told_of ORDER BY at_ns, heard, span_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ), parted AS (
        SELECT *, min(open) OVER (PARTITION BY told_of) >= 0 AS once_each,
            count(*) FILTER (WHERE open = 0) OVER (PARTITION BY told_of ORDER BY at_ns, heard, span_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS part
        FROM counted
    ), named AS (
        SELECT *, CASE WHEN least = greatest THEN least WHEN least_before = greatest_before THEN least_before WHEN once_each AND least_here = greatest_here THEN least_here END AS surely
        FROM (SELECT *, min(queue) OVER (PARTITION BY told_of, part) AS least_here, max(queue) OVER (PARTITION BY told_of, part) AS greatest_here FROM parted)
    )
    SELECT l.trace_id, l.span_id, l.surely AS queue, h.routing_key, h.at_ns AS received_ns,
        CASE WHEN h.span_id IS NOT NULL THEN h.exchange WHEN l.least_exchange = l.greatest_exchange THEN l.least_exchange END AS exchange
    FROM named l
    LEFT JOIN named h ON h.told_of = l.told_of AND h.heard = 0 AND h.queue = l.surely
    WHERE l.heard = 1 AND l.least IS NOT NULL
    -- of its queue's the last before it
    QUALIFY row_number() OVER (PARTITION BY l.trace_id, l.span_id ORDER BY h.at_ns <= l.at_ns DESC, CASE WHEN h.at_ns <= l.at_ns THEN -h.at_ns ELSE h.at_ns END, h.span_id) = 1
) AS r
WHERE d.first_batch >= $since AND d.trace_id = r.trace_id AND d.span_id = r.span_id;
