-- A PRODUCER span within another one of the same process, exchange and key tells the same publish: both
-- layers of pika's blocking channel are wrapped by its contrib instrumentation, FastStream tells a message's
-- creation and its sending, and frameworks have spans above their client's. Which of the two stays is whose
-- context travels: the innermost's, but the creation's where there is one.
WITH pairs AS (
    SELECT o.trace_id, o.span_id AS outer_span_id, i.span_id AS inner_span_id, i.source, i.end_ns, least(i.first_batch, o.first_batch) AS first_batch
    FROM publish_facts i JOIN publish_facts o ON o.trace_id = i.trace_id AND o.span_id = i.parent_span_id
    WHERE i.first_batch >= $since AND o.first_batch >= $since AND $batch IN (i.first_batch, o.first_batch) AND o.source = 'spans'
      AND o.service = i.service AND o.instance IS NOT DISTINCT FROM i.instance
      AND o.exchange = i.exchange AND coalesce(o.routing_key = i.routing_key, true) AND coalesce(o.message_id = i.message_id, true)
)
SELECT p.trace_id, p.first_batch, p.end_ns,
    CASE WHEN created THEN outer_span_id ELSE inner_span_id END AS span_id,
    CASE WHEN created THEN inner_span_id ELSE outer_span_id END AS gone_span_id
FROM (
    SELECT *, source = 'spans' AND inner_span_id NOT IN (SELECT outer_span_id FROM pairs) AND (trace_id, outer_span_id) IN (
        SELECT (s.trace_id, s.span_id) FROM spans s
        WHERE s.batch >= $since AND s.trace_id IN (SELECT trace_id FROM pairs) AND s.kind = 4 AND (ends_with(s.name, ' create') OR starts_with(s.name, 'create ')
            OR coalesce(s.attributes->>'$."messaging.operation.type"', s.attributes->>'$."messaging.operation"', s.attributes->>'$."messaging.operation.name"') = 'create')
    ) AS created
    FROM pairs
) p;
