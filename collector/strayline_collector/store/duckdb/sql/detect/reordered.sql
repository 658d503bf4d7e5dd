-- Messages that came late, by their stamps (docs/messages.md, section 3).
--
-- Stream: what one channel published to one exchange and one queue received, ordered by `n`.
-- A message's place is its final delivery's (or that one's completion); it is late when one of
-- its stream with higher `n` has an earlier place. Ordering key: the handling of a later one of
-- the key must not begin before the earlier one is settled for good.
--
-- Places on one consuming channel compare by delivery tag; across channels by the clock that
-- stamped them, and only where both ran on one host, which shares a clock.
WITH queues AS (
    SELECT environment, broker, vhost, name,
        bool_or(coalesce(arguments->>'$."x-queue-type"', '') = 'stream') AS is_stream,
        bool_or(coalesce(arguments->>'$."x-queue-type"', '') = 'quorum') AS is_quorum,
        bool_or(coalesce(TRY_CAST(arguments->>'$."x-single-active-consumer"' AS BOOLEAN), false)) AS single_active,
        max(TRY_CAST(arguments->>'$."x-max-priority"' AS INTEGER)) AS max_priority
    FROM topology_facts WHERE kind = 'queue' AND action = 'declare' AND json_valid(coalesce(arguments, '{}'))
    GROUP BY environment, broker, vhost, name
), delaying AS (
    SELECT DISTINCT broker, vhost, name FROM topology_facts WHERE kind = 'exchange' AND type = 'x-delayed-message'
), seen AS (
    SELECT f.*, string_split(f.stamp, '.') AS s, concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, string_split(f.stamp, '.')[2]) AS key
    FROM delivery_facts f
    WHERE f.stamp_ok AND f.queue IS NOT NULL AND NOT starts_with(f.queue, 'amq.rabbitmq.reply-to')
), attempts AS (
    SELECT d.*, s[2] AS p_epoch, CAST(s[3] AS BIGINT) AS p_channel, CAST(s[4] AS BIGINT) AS n, s[6] AS okey, TRY_CAST(s[7] AS BIGINT) AS k,
        -- whose clock, and which consuming channel, this delivery was on
        coalesce(d.host, d.instance, d.service) AS clock,
        concat_ws('/', d.service, coalesce(d.instance, ''), coalesce(d.epoch, ''), coalesce(d.channel, -1)) AS lane,
        -- a clock that steps back must not undo the order that the tags prove
        max(d.received_ns) OVER (PARTITION BY d.key, d.service, d.instance, d.epoch, d.channel ORDER BY d.delivery_tag
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS placed_ns,
        row_number() OVER (PARTITION BY d.key, d.message ORDER BY d.received_ns DESC, d.delivery_tag DESC, d.span_id DESC) AS from_last,
        count(*) FILTER (WHERE d.settlement IN ('nack_requeue', 'reject_requeue')) OVER whole AS requeues,
        count(*) FILTER (WHERE d.redelivered IS NOT DISTINCT FROM false) OVER whole AS fresh,
        bool_or(d.death IS NOT NULL) OVER whole AS dead_lettered,
        max(d.batch) OVER whole AS newest_batch,
        to_json(list({consumer_span_id: d.span_id, trace_id: d.trace_id, delivery_tag: d.delivery_tag,
            redelivered: d.redelivered, settled: d.settlement, time_ns: d.received_ns}) OVER (PARTITION BY d.key, d.message
            ORDER BY d.received_ns, d.delivery_tag, d.span_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS deliveries
    FROM seen d SEMI JOIN touched USING (key)
    WINDOW whole AS (PARTITION BY d.key, d.message)
), finals AS (
    SELECT a.*,
        CASE WHEN a.settlement = 'auto' THEN coalesce(a.handled_end_ns, a.received_ns)
             ELSE coalesce(a.settled_ns, a.handled_end_ns, a.received_ns) END AS completed_ns,
        CASE WHEN a.settlement = 'auto' THEN a.received_ns ELSE coalesce(a.settled_ns, a.handled_end_ns) END AS acked_ns,
        p.trace_id AS p_trace_id, p.span_id AS p_span_id, p.service AS producer_service,
        p.outcome, p.message_id AS p_message_id, q.single_active, q.max_priority, q.is_quorum, q.name IS NULL AS queue_unknown,
        CASE WHEN q.max_priority IS NOT NULL THEN least(coalesce(a.priority, 0), q.max_priority)
             WHEN q.is_quorum THEN CASE WHEN coalesce(a.priority, 0) > 4 THEN 1 ELSE 0 END
             WHEN q.name IS NULL THEN coalesce(a.priority, 0)
             ELSE 0 END AS effective_priority
    FROM attempts a
    LEFT JOIN publish_facts p ON p.message = a.message
    LEFT JOIN queues q ON q.name = a.queue AND q.broker IS NOT DISTINCT FROM a.broker AND q.vhost IS NOT DISTINCT FROM a.vhost
        AND q.environment IS NOT DISTINCT FROM a.environment
    LEFT JOIN delaying x ON x.name = a.exchange AND x.broker IS NOT DISTINCT FROM a.broker AND x.vhost IS NOT DISTINCT FROM a.vhost
    WHERE a.from_last = 1
      AND a.settlement IN ('ack', 'nack_drop', 'reject_drop', 'auto', 'sent')
      -- no stream, no promise: dead-lettered on the way, delayed on purpose, a log
      AND NOT a.dead_lettered AND x.name IS NULL AND p.delay_ms IS NULL AND NOT coalesce(q.is_stream, false)
      -- the same stamp fresh again is a copy somebody republished
      AND a.fresh <= 1
), placed AS (
    SELECT *,
        max(n) OVER (PARTITION BY key, p_channel, exchange, lane ORDER BY delivery_tag ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_on_lane,
        max(n) OVER delivered AS before_delivered,
        row_number() OVER (PARTITION BY key, p_channel, exchange, clock ORDER BY placed_ns, lane, delivery_tag) AS delivery_place,
        max(n) OVER (PARTITION BY key, p_channel, exchange, lane ORDER BY completed_ns, n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_completed_on_lane,
        max(n) OVER completed AS before_completed,
        row_number() OVER (PARTITION BY key, p_channel, exchange, clock ORDER BY completed_ns, n) AS completion_place
    FROM finals
    WINDOW delivered AS (PARTITION BY key, p_channel, exchange, clock ORDER BY placed_ns, lane, delivery_tag ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        completed AS (PARTITION BY key, p_channel, exchange, clock ORDER BY completed_ns, n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), delivery_records AS (   -- whoever was ahead of all before it: the earliest overtakers
    SELECT key, p_channel, exchange, clock, n, delivery_place AS place, message, placed_ns AS at_ns
    FROM placed WHERE before_delivered IS NULL OR n > before_delivered
), completion_records AS (
    SELECT key, p_channel, exchange, clock, n, completion_place AS place, message, completed_ns AS at_ns
    FROM placed WHERE before_completed IS NULL OR n > before_completed
), handlings AS (          -- when the handling of a message first began, by each clock that saw it
    SELECT key, okey, clock, message, k, min({began_ns: handled_start_ns, lane: lane}) AS first
    FROM attempts WHERE okey IS NOT NULL AND handled_start_ns IS NOT NULL
    GROUP BY ALL
), followers AS (
    SELECT *, min({began_ns: first.began_ns, message: message, lane: first.lane}) OVER later AS next
    FROM handlings
    WINDOW later AS (PARTITION BY key, okey, clock ORDER BY k RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
), facts AS (
    SELECT p.*,
        coalesce(p.before_delivered > p.n OR p.before_on_lane > p.n, false) AS late_delivery,
        coalesce(p.before_on_lane > p.n, false) AS late_on_lane,
        coalesce(p.before_completed > p.n, false) AS late_completion,
        coalesce(p.before_completed_on_lane > p.n, false) AS late_completed_on_lane,
        coalesce(f.next.began_ns < p.acked_ns, false) AS key_broken,
        f.next.message AS next_message, f.next.lane AS next_lane, f.next.began_ns AS next_began_ns
    FROM placed p
    LEFT JOIN followers f ON f.key = p.key AND f.okey = p.okey AND f.clock = p.clock AND f.message = p.message
), late AS (
    SELECT f.*,
        dr.message AS d_overtaker, f.delivery_place - dr.place AS d_extent, dr.at_ns AS d_at_ns,
        cr.message AS c_overtaker, f.completion_place - cr.place AS c_extent, cr.at_ns AS c_at_ns
    FROM (SELECT * FROM facts WHERE late_delivery OR late_completion OR key_broken) f
    ASOF LEFT JOIN delivery_records dr ON dr.key = f.key AND dr.p_channel = f.p_channel AND dr.exchange = f.exchange AND dr.clock = f.clock AND dr.n > f.n
    ASOF LEFT JOIN completion_records cr ON cr.key = f.key AND cr.p_channel = f.p_channel AND cr.exchange = f.exchange AND cr.clock = f.clock AND cr.n > f.n
), ruled AS (
    SELECT l.*,
        -- every overtaker had priority: nobody of equal or lower standing came before
        (l.max_priority IS NOT NULL OR l.is_quorum OR l.queue_unknown) AND l.late_delivery AND NOT EXISTS (
            SELECT 1 FROM placed o
            WHERE o.key = l.key AND o.p_channel = l.p_channel AND o.exchange = l.exchange AND o.clock = l.clock
              AND o.n > l.n AND o.delivery_place < l.delivery_place AND o.effective_priority <= l.effective_priority
        ) AS by_priority
    FROM late l
), judged AS (
    SELECT r.*,
        CASE
            WHEN requeues > 0 AND (late_delivery OR key_broken) THEN 'requeue'
            WHEN redelivered AND requeues = 0 THEN CASE WHEN single_active THEN 'failover' ELSE 'channel_closed' END
            WHEN outcome = 'unknown' THEN 'publish_retry'
            WHEN by_priority THEN 'priority'
            WHEN late_delivery AND NOT late_on_lane THEN 'competing_consumers'
            WHEN late_delivery THEN 'unknown'
            WHEN late_completion THEN CASE WHEN late_completed_on_lane THEN 'concurrent_handlers' ELSE 'competing_consumers' END
            WHEN next_lane = lane THEN 'concurrent_handlers'
            ELSE 'competing_consumers'
        END AS cause,
        CASE WHEN late_delivery THEN d_overtaker WHEN late_completion THEN c_overtaker END AS stream_overtaker
    FROM ruled r
), verdict AS (
    SELECT j.*,
        key_broken OR coalesce(single_active, false) AS order_asked,
        CASE WHEN key_broken THEN next_message ELSE stream_overtaker END AS overtaker,
        CASE WHEN late_delivery THEN d_extent WHEN late_completion THEN c_extent END AS extent
    FROM judged j
), rows AS (
    SELECT key, 'reordered' AS kind, cause,
        CASE WHEN order_asked THEN 'error' WHEN cause = 'requeue' THEN 'warning' ELSE 'info' END AS severity,
        'late' AS role, message, p_trace_id AS trace_id, p_span_id AS producer_span_id, coalesce(message_id, p_message_id) AS message_id,
        environment, broker, vhost, queue, exchange, routing_key, producer_service, service AS consumer_service,
        to_json({
            late_by: list_filter([CASE WHEN late_delivery THEN 'delivery' END, CASE WHEN late_completion THEN 'completion' END,
                CASE WHEN key_broken THEN 'ordering_key' END], lambda x: x IS NOT NULL),
            sequence: n, extent: extent, overtaker: overtaker, order_asked: order_asked,
            delivery_extent: CASE WHEN late_delivery THEN d_extent END, completion_extent: CASE WHEN late_completion THEN c_extent END,
            late_ns: CASE WHEN late_delivery THEN placed_ns - d_at_ns WHEN late_completion THEN completed_ns - c_at_ns ELSE acked_ns - next_began_ns END,
            deliveries: deliveries}) AS evidence,
        CASE WHEN key_broken THEN next_began_ns WHEN late_delivery THEN placed_ns ELSE completed_ns END AS event_ns,
        greatest(completed_ns, received_ns) AS facts_until_ns, newest_batch AS batch, overtaker
    FROM verdict
    -- the causes judged so far; of the others the facts are recognised and nothing is claimed
    WHERE cause IN ('requeue', 'concurrent_handlers', 'competing_consumers', 'unknown')
)
SELECT key, kind, NULL AS verdict, cause, severity, 'proven' AS confidence, role, message, trace_id, producer_span_id, message_id,
    environment, broker, vhost, queue, exchange, routing_key, producer_service, consumer_service, evidence, event_ns, facts_until_ns, batch
FROM rows
UNION ALL
-- the one that came first, as context of the finding; it does not count
SELECT r.key, r.kind, NULL, r.cause, 'info', 'proven', 'overtaker', r.overtaker, f.p_trace_id, f.p_span_id, coalesce(f.message_id, f.p_message_id),
    r.environment, r.broker, r.vhost, r.queue, r.exchange, r.routing_key, r.producer_service, f.service,
    to_json({sequence: f.n, deliveries: f.deliveries}), f.placed_ns, f.placed_ns, f.newest_batch
FROM rows r JOIN finals f ON f.key = r.key AND f.message = r.overtaker
GROUP BY ALL;
