-- Each listener's span takes the queue of the handing over that has its place in time; what was handed
-- over and not listened to yet is no delivery until then.
UPDATE delivery_facts AS d
SET batch = $batch, queue = r.queue, exchange = r.exchange, routing_key = r.routing_key, received_ns = r.received_ns
FROM (
    WITH listeners AS (
        SELECT l.service, l.instance, l.context_trace_id, l.context_span_id, l.trace_id, l.span_id,
            row_number() OVER (PARTITION BY l.service, l.instance, l.context_trace_id, l.context_span_id ORDER BY l.handled_start_ns, l.span_id) AS place
        FROM delivery_facts l
        JOIN handing g ON g.context_trace_id = l.context_trace_id AND g.context_span_id = l.context_span_id
            AND g.service = l.service AND g.instance IS NOT DISTINCT FROM l.instance
        WHERE l.first_batch >= $since AND starts_with(l.name_hint, 'key:')
    ), handovers AS (
        SELECT h.*, row_number() OVER whole AS place, count(*) OVER (PARTITION BY h.service, h.instance, h.context_trace_id, h.context_span_id) AS places
        FROM handover_facts h
        JOIN handing g ON g.context_trace_id = h.context_trace_id AND g.context_span_id = h.context_span_id
            AND g.service = h.service AND g.instance IS NOT DISTINCT FROM h.instance
        WHERE h.first_batch >= $since
        WINDOW whole AS (PARTITION BY h.service, h.instance, h.context_trace_id, h.context_span_id ORDER BY h.received_ns, h.span_id)
    )
    SELECT l.trace_id, l.span_id, h.queue, h.exchange, h.routing_key, h.received_ns
    FROM listeners l
    JOIN handovers h ON h.context_trace_id = l.context_trace_id AND h.context_span_id = l.context_span_id
        AND h.service = l.service AND h.instance IS NOT DISTINCT FROM l.instance AND h.place = least(l.place, h.places)
) AS r
WHERE d.first_batch >= $since AND d.trace_id = r.trace_id AND d.span_id = r.span_id;
