-- Each message's final delivery in one queue: its place among the deliveries (or completions) and
-- its place among the publishes. Within one stream `n` orders publishes, across streams their
-- start times do, which is for the eye: lateness itself is the detectors' word.
WITH attempts AS (
    SELECT d.*, row_number() OVER (PARTITION BY coalesce(d.message, d.trace_id || d.span_id) ORDER BY d.received_ns DESC, d.delivery_tag DESC, d.span_id) AS from_last,
        count(*) OVER (PARTITION BY coalesce(d.message, d.trace_id || d.span_id)) AS tries
    FROM delivery_facts d
    WHERE d.queue = $queue AND ($broker IS NULL OR d.broker = $broker) AND ($vhost IS NULL OR d.vhost = $vhost)
      AND d.received_ns BETWEEN $start_ns AND $end_ns
), verdict AS (
    -- late on the basis that is shown; of a broken ordering key both bases show it
    SELECT message, min(cause) AS cause,
        max(coalesce(TRY_CAST(json_extract_string(evidence, '$.' || $basis || '_extent') AS BIGINT), TRY_CAST(evidence->>'$.extent' AS BIGINT), 0)) AS extent
    FROM verdicts WHERE kind = 'reordered' AND role = 'late' AND queue = $queue
      AND (contains(evidence->>'$.late_by', $basis) OR contains(evidence->>'$.late_by', 'ordering_key'))
    GROUP BY message
), finals AS (
    SELECT a.*, p.service AS producer_service, p.start_ns AS published_ns, p.n, p.message_id AS p_message_id, v.cause, v.extent, v.message IS NOT NULL AS late,
        CASE WHEN $basis = 'completion' THEN coalesce(a.settled_ns, a.handled_end_ns, a.received_ns) ELSE a.received_ns END AS at_ns,
        count(DISTINCT concat_ws('/', p.epoch, p.channel)) OVER () AS streams
    FROM attempts a
    LEFT JOIN publish_facts p ON p.trace_id = a.publish_trace_id AND p.span_id = a.publish_span_id
    LEFT JOIN verdict v ON v.message = a.message
    WHERE a.from_last = 1 AND coalesce(a.settlement, 'ack') NOT IN ('nack_requeue', 'reject_requeue')
)
SELECT row_number() OVER (ORDER BY at_ns, delivery_tag, message) - 1 AS position,
    row_number() OVER (ORDER BY CASE WHEN streams = 1 THEN n END, coalesce(published_ns, at_ns), n, message) - 1 AS sequence,
    late, coalesce(extent, 0) AS extent, cause, publish_trace_id, publish_span_id, coalesce(message_id, p_message_id) AS message_id, routing_key, producer_service,
    service AS consumer_service, trace_id, span_id, redelivered, tries, published_ns, at_ns, settlement
FROM finals
ORDER BY position;
