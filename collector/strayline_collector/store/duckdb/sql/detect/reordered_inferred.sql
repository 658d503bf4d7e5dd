-- Messages that came late where nobody stamped: the interval rule (docs/messages.md, section 3).
--
-- A was published before B only if A's publish span ended before B's began, in one process, and
-- came after B only if its handling began (or ended) after B's, in one process. Clocks of whole
-- milliseconds (JavaScript) decide nothing below 10 ms, on either side.
WITH seen AS (
    SELECT d.*, p.service AS producer_service, p.instance AS producer_instance, p.start_ns AS published_ns, p.end_ns AS confirmed_ns,
        p.message_id AS p_message_id, p.outcome, p.batch AS publish_batch,
        concat_ws('|', 'spans', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue, p.service, p.instance) AS key,
        -- what arrives by another exchange or key than it was published with was dead-lettered (a delay by way
        -- of a waiting queue) or sent on by somebody unseen: its place is not its publish's
        d.death IS NULL AND coalesce(d.exchange = p.exchange, true) AND coalesce(d.routing_key = p.routing_key, true) AS straight
    FROM delivery_facts d JOIN publish_facts p ON p.trace_id = d.publish_trace_id AND p.span_id = d.publish_span_id
    WHERE d.stamp IS NULL AND NOT starts_with(d.queue, '*') AND NOT starts_with(d.queue, 'amq.rabbitmq.reply-to')
      AND p.instance IS NOT NULL AND d.instance IS NOT NULL AND p.delay_ms IS NULL
), attempts AS (
    SELECT d.*,
        row_number() OVER (PARTITION BY key, message ORDER BY handled_start_ns DESC, span_id DESC) AS from_last,
        count(*) FILTER (WHERE settlement IN ('nack_requeue', 'reject_requeue')) OVER whole AS requeues,
        count(*) OVER whole AS tries, bool_and(straight) OVER whole AS all_straight,
        max(batch) OVER whole AS newest_batch,
        to_json(list({consumer_span_id: span_id, trace_id: trace_id, delivery_tag: delivery_tag, redelivered: redelivered,
            settled: settlement, time_ns: handled_start_ns}) OVER (PARTITION BY key, message ORDER BY handled_start_ns, span_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS deliveries
    FROM seen d SEMI JOIN touched USING (key)
    WINDOW whole AS (PARTITION BY key, message)
), finals AS (
    SELECT *,
        -- both sides need it when either clock ticks in milliseconds
        CASE WHEN bool_and(published_ns % 1000000 = 0) OVER lane OR bool_and(handled_start_ns % 1000000 = 0) OVER lane
            THEN 10000000 ELSE 1 END AS gap_ns,
        row_number() OVER (PARTITION BY key, exchange, service, instance ORDER BY handled_start_ns, published_ns, message) AS delivery_place,
        row_number() OVER (PARTITION BY key, exchange, service, instance ORDER BY handled_end_ns, published_ns, message) AS completion_place
    FROM attempts
    WHERE from_last = 1 AND coalesce(settlement, 'ack') NOT IN ('nack_requeue', 'reject_requeue')
      -- tries that no requeue explains (a round trip through a dead-letter queue, a copy, a closed
      -- channel) leave the message's place unknown, and that of the try before a round trip too
      AND requeues = tries - 1 AND all_straight
    WINDOW lane AS (PARTITION BY key, exchange, service, instance)
), later AS (   -- of everything published from here on, what was handled first
    SELECT key, exchange, service, instance, published_ns,
        min({at_ns: handled_start_ns, place: delivery_place, message: message}) OVER tail AS started,
        min({at_ns: handled_end_ns, place: completion_place, message: message}) OVER tail AS ended
    FROM finals
    WINDOW tail AS (PARTITION BY key, exchange, service, instance ORDER BY published_ns RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
), facts AS (
    SELECT f.*, l.started, l.ended,
        coalesce(l.started.at_ns + f.gap_ns <= f.handled_start_ns, false) AS late_delivery,
        coalesce(l.ended.at_ns + f.gap_ns <= f.handled_end_ns, false) AS late_completion
    FROM (SELECT *, confirmed_ns + gap_ns AS surely_before_ns FROM finals) f
    ASOF JOIN (SELECT DISTINCT * FROM later) l ON l.key = f.key AND l.exchange IS NOT DISTINCT FROM f.exchange AND l.service = f.service AND l.instance = f.instance
        AND l.published_ns >= f.surely_before_ns
), rows AS (
    SELECT *,
        CASE WHEN late_delivery AND requeues > 0 THEN 'requeue' WHEN late_delivery THEN 'unknown' ELSE 'concurrent_handlers' END AS cause,
        CASE WHEN late_delivery THEN started.message ELSE ended.message END AS overtaker,
        CASE WHEN late_delivery THEN delivery_place - started.place ELSE completion_place - ended.place END AS extent
    FROM facts WHERE late_delivery OR late_completion
)
SELECT key, 'reordered' AS kind, NULL AS verdict, cause,
    CASE WHEN cause = 'requeue' THEN 'warning' ELSE 'info' END AS severity, 'inferred' AS confidence, 'late' AS role,
    message, publish_trace_id AS trace_id, publish_span_id AS producer_span_id, coalesce(message_id, p_message_id) AS message_id,
    environment, broker, vhost, queue, exchange, routing_key, producer_service, service AS consumer_service,
    to_json({late_by: list_filter([CASE WHEN late_delivery THEN 'delivery' END, CASE WHEN late_completion THEN 'completion' END], lambda x: x IS NOT NULL),
        extent: extent, overtaker: overtaker, gap_ns: gap_ns,
        late_ns: CASE WHEN late_delivery THEN handled_start_ns - started.at_ns ELSE handled_end_ns - ended.at_ns END,
        deliveries: deliveries}) AS evidence,
    CASE WHEN late_delivery THEN handled_start_ns ELSE handled_end_ns END AS event_ns,
    -- of a `basic.get`, and of a handler that outlasted its instrumentation's patience, nobody saw the end
    coalesce(handled_end_ns, handled_start_ns) AS facts_until_ns, newest_batch AS batch
FROM rows
UNION ALL
SELECT r.key, 'reordered', NULL, r.cause, 'info', 'inferred', 'overtaker',
    r.overtaker, f.publish_trace_id, f.publish_span_id, coalesce(f.message_id, f.p_message_id),
    r.environment, r.broker, r.vhost, r.queue, r.exchange, r.routing_key, r.producer_service, f.service,
    to_json({deliveries: f.deliveries}), f.handled_start_ns, f.handled_start_ns, f.newest_batch
FROM rows r JOIN finals f ON f.key = r.key AND f.message = r.overtaker
GROUP BY ALL;
