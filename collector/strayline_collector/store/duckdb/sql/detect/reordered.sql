-- Messages that came late, by their stamps (docs/messages.md, section 3).
--
-- Stream: what one channel published to one exchange and one queue received, ordered by `n`.
-- A message's place is its final delivery's (or that one's completion); it is late when one of
-- its stream with higher `n` has an earlier place. Ordering key: the handling of a later one of
-- the key must not begin before the earlier one is settled for good.
--
-- Places on one consuming channel compare by delivery tag; across channels by the clock that
-- stamped them, and only where both ran on one host, which shares a clock. A lane is a consuming
-- channel, whichever process handles what it brings: the children of a pool share their parent's.
--
-- `needed` (reordered_needed.sql) are the deliveries that can matter; all others came in order. `ends`
-- (reordered_lanes.sql) says when each consuming channel took its first and its last of each queue.
WITH delaying AS (
    SELECT DISTINCT broker, vhost, name FROM topology_facts WHERE kind = 'exchange' AND type = 'x-delayed-message'
), seen AS (
    SELECT f.*, f.rowid AS rid, w.placed_ns, string_split(f.stamp, '.') AS s,
        concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, string_split(f.stamp, '.')[2]) AS key,
        array_to_string(string_split(f.stamp, '.')[2:4], '.') AS stamped,
        CAST(coalesce(f.death, '[]') AS VARCHAR[]) AS deaths
    FROM delivery_facts f JOIN needed w ON w.rid = f.rowid
    WHERE f.first_batch >= $from
), classed AS (
    SELECT d.* REPLACE (d.stamped AS message), s[2] AS p_epoch, CAST(s[3] AS BIGINT) AS p_channel, CAST(s[4] AS BIGINT) AS n, s[6] AS okey, TRY_CAST(s[7] AS BIGINT) AS k,
        -- whose clock, and which consuming channel, this delivery was on
        coalesce(d.host, d.epoch, d.instance, d.service) AS clock,
        CASE WHEN d.epoch IS NULL THEN concat_ws('/', d.service, coalesce(d.instance, ''), '', coalesce(d.channel, -1))
             ELSE concat_ws('/', d.service, d.epoch, coalesce(d.channel, -1)) END AS lane,
        -- how often it has died so far; x-death counts by queue and reason
        list_sum(list_transform(d.deaths, lambda x: coalesce(TRY_CAST(split_part(x, '|', 3) AS BIGINT), 1))) AS died,
        -- x-death's oldest entry names the first queue, and the exchange that it was published to
        list_last(d.deaths) AS first_death,
        -- the same stamp fresh again, with no new death, is a copy somebody republished
        NOT d.stamp_ok OR (d.redelivered IS NOT DISTINCT FROM false
            AND row_number() OVER (PARTITION BY d.key, d.stamped, d.stamp_ok, coalesce(d.death, ''), d.redelivered ORDER BY d.received_ns, d.delivery_tag, d.span_id) > 1) AS copy
    FROM seen d
), messages AS (         -- what the deliveries of a message to a queue come to
    SELECT key, message,
        arg_max(rid, ROW(coalesce(died, 0), coalesce(copy::INTEGER, -1), coalesce(redelivered, false), received_ns, coalesce(delivery_tag, -1), span_id)) AS last_rid,
        -- only a message that was seen to come by its own exchange and key can have copies here
        bool_or(stamp_ok) AS fits,
        max(CASE WHEN stamp_ok AND death IS NULL THEN exchange ELSE split_part(first_death, '|', 4) END) AS stream_exchange,
        count(*) FILTER (WHERE settlement IN ('nack_requeue', 'reject_requeue') AND died IS NULL AND NOT copy) AS requeues,
        -- the deliveries of its first stay in the queue: the key's promise ends with them
        max(CASE WHEN died IS NULL AND NOT copy AND settlement IN ('ack', 'nack_drop', 'reject_drop', 'auto', 'sent')
            THEN CASE WHEN settlement = 'auto' THEN received_ns ELSE coalesce(settled_ns, handled_end_ns) END END) AS acked_ns,
        list_sort(list_distinct(list(lane))) AS lanes,
        count(*) FILTER (WHERE redelivered IS NOT DISTINCT FROM false AND died IS NULL) AS fresh,
        max(batch) AS newest_batch
    FROM classed
    GROUP BY key, message
), finals AS (
    SELECT a.* REPLACE (m.stream_exchange AS exchange), m.* EXCLUDE (key, message, last_rid, fits, stream_exchange), row_number() OVER () AS id,
        CASE WHEN a.settlement = 'auto' THEN coalesce(a.handled_end_ns, a.received_ns)
             ELSE coalesce(a.settled_ns, a.handled_end_ns, a.received_ns) END AS completed_ns,
        p.trace_id AS p_trace_id, p.span_id AS p_span_id, p.service AS producer_service, p.start_ns AS p_start_ns, p.end_ns AS p_end_ns,
        p.routing_key AS p_routing_key, p.message_id AS p_message_id,
        q.single_active, o.ordered, q.max_priority, q.is_quorum, q.name IS NULL AS queue_unknown, q.declared_ns,
        r.first, r.first_channel, r.first_n,
        CASE WHEN q.max_priority IS NOT NULL THEN least(coalesce(a.priority, 0), q.max_priority)
             WHEN q.is_quorum THEN CASE WHEN coalesce(a.priority, 0) > 4 THEN 1 ELSE 0 END
             WHEN q.name IS NULL THEN coalesce(a.priority, 0)
             ELSE 0 END AS effective_priority
    FROM messages m
    JOIN classed a ON a.rid = m.last_rid
    LEFT JOIN (SELECT * FROM publish_facts WHERE first_batch >= $told_from AND message IN (SELECT stamped FROM seen)) p ON p.message = a.message
    LEFT JOIN retries r ON r.message = a.message
    LEFT JOIN queue_traits q ON q.name = a.queue AND q.broker IS NOT DISTINCT FROM a.broker AND q.vhost IS NOT DISTINCT FROM a.vhost
        AND q.environment IS NOT DISTINCT FROM a.environment AND a.received_ns BETWEEN q.from_ns AND q.to_ns
    LEFT JOIN promises o ON o.queue = a.queue AND o.broker IS NOT DISTINCT FROM a.broker AND o.vhost IS NOT DISTINCT FROM a.vhost
        AND o.environment IS NOT DISTINCT FROM a.environment
    LEFT JOIN delaying x ON x.name = m.stream_exchange AND x.broker IS NOT DISTINCT FROM a.broker AND x.vhost IS NOT DISTINCT FROM a.vhost
    WHERE m.fits
      AND a.settlement IN ('ack', 'nack_drop', 'reject_drop', 'auto', 'sent')
      -- no stream, no promise: delayed on purpose, a log
      AND x.name IS NULL AND p.delay_ms IS NULL AND NOT coalesce(q.is_stream, false)
), placed AS (           -- narrow: of sixty columns few are sorted by, and few messages are late
    SELECT id, key, message, p_channel, exchange, clock, lane, n, delivery_tag, placed_ns, completed_ns, p_start_ns, effective_priority, okey,
        max(n) OVER (PARTITION BY key, p_channel, exchange, lane ORDER BY delivery_tag ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_on_lane,
        max(n) OVER delivered AS before_delivered,
        row_number() OVER (PARTITION BY key, p_channel, exchange, clock ORDER BY placed_ns, lane, delivery_tag) AS delivery_place,
        max(n) OVER (PARTITION BY key, p_channel, exchange, lane ORDER BY completed_ns, n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_completed_on_lane,
        max(n) OVER completed AS before_completed,
        row_number() OVER (PARTITION BY key, p_channel, exchange, clock ORDER BY completed_ns, n) AS completion_place
    FROM finals
    WINDOW delivered AS (PARTITION BY key, p_channel, exchange, clock ORDER BY placed_ns, lane, delivery_tag ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        completed AS (PARTITION BY key, p_channel, exchange, clock ORDER BY completed_ns, n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), overtakers AS (       -- the earliest of each message: of those that were ahead of all before them the next by `n`
    SELECT *,
        lead(CASE WHEN before_delivered IS NULL OR n > before_delivered THEN {message: message, place: delivery_place, at_ns: placed_ns} END IGNORE NULLS) OVER by_n AS d,
        lead(CASE WHEN before_completed IS NULL OR n > before_completed THEN {message: message, place: completion_place, at_ns: completed_ns} END IGNORE NULLS) OVER by_n AS c
    FROM placed
    WINDOW by_n AS (PARTITION BY key, p_channel, exchange, clock ORDER BY n)
), handlings AS (          -- when the handling of a message first began, by each clock that saw it
    SELECT key, okey, clock, message, k, min({began_ns: handled_start_ns, lane: lane}) AS first_handled
    FROM classed SEMI JOIN (SELECT key, message FROM messages WHERE fits) USING (key, message)
    WHERE okey IS NOT NULL AND handled_start_ns IS NOT NULL
    GROUP BY ALL
), followers AS (
    SELECT *, min({began_ns: first_handled.began_ns, message: message, lane: first_handled.lane}) OVER later AS next
    FROM handlings
    WINDOW later AS (PARTITION BY key, okey, clock ORDER BY k RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
), overtaken AS (          -- a retry has the place of its first try: what was sent since and came before it
    SELECT r.key, r.message, min({at_ns: o.placed_ns, lane: o.lane, tag: o.delivery_tag, message: o.message}) AS earliest, count(*) AS overtakers
    FROM finals r JOIN finals o ON o.key = r.key AND o.exchange = r.exchange AND o.clock = r.clock
        AND o.p_channel = r.first_channel AND o.n > r.first_n AND coalesce(o.first, o.message) <> r.first
        AND ROW(o.placed_ns, o.lane, o.delivery_tag) < ROW(r.placed_ns, r.lane, r.delivery_tag)
    WHERE r.first IS NOT NULL
    GROUP BY r.key, r.message
), facts AS (
    SELECT f.*, o.delivery_place, o.completion_place,
        coalesce(o.before_delivered > o.n OR o.before_on_lane > o.n, false) AS late_delivery,
        coalesce(o.before_on_lane > o.n, false) AS late_on_lane,
        coalesce(o.before_completed > o.n, false) AS late_completion,
        coalesce(o.before_completed_on_lane > o.n, false) AS late_completed_on_lane,
        coalesce(h.next.began_ns < f.acked_ns, false) AS key_broken,
        t.message IS NOT NULL AS late_retry, t.earliest, t.overtakers,
        h.next.message AS next_message, h.next.lane AS next_lane, h.next.began_ns AS next_began_ns,
        o.d.message AS d_overtaker, o.delivery_place - o.d.place AS d_extent, o.d.at_ns AS d_at_ns,
        o.c.message AS c_overtaker, o.completion_place - o.c.place AS c_extent, o.c.at_ns AS c_at_ns
    FROM overtakers o JOIN finals f USING (id)
    LEFT JOIN followers h ON h.key = f.key AND h.okey = f.okey AND h.clock = f.clock AND h.message = f.message
    LEFT JOIN overtaken t ON t.key = f.key AND t.message = f.message
), late AS (
    SELECT * FROM facts WHERE late_delivery OR late_completion OR key_broken OR late_retry
), ahead AS (              -- all that overtook each message late by delivery
    SELECT l.key, l.message,
        min(o.effective_priority) AS least_priority, min(abs(o.effective_priority - l.effective_priority)) AS least_difference,
        bool_or(o.p_start_ns >= l.p_end_ns) AS surely_after,
        coalesce(bool_or(o.okey = l.okey), false) AS same_key
    FROM late l JOIN placed o ON o.key = l.key AND o.p_channel = l.p_channel AND o.exchange = l.exchange AND o.clock = l.clock
        AND o.n > l.n AND o.delivery_place < l.delivery_place
    WHERE l.late_delivery
    GROUP BY l.key, l.message
), returned AS MATERIALIZED (   -- redelivered with nothing given back. Joined first: each two channels of a queue are 650,000 pairs after 200 restarts
    SELECT l.key, l.message, l.environment, l.broker, l.vhost, l.queue, l.clock, l.lane, l.lanes, l.fresh, l.received_ns, m.first_ns, m.last_ns
    FROM late l
    JOIN ends m ON m.queue = l.queue AND m.clock = l.clock AND m.lane = l.lane AND m.broker IS NOT DISTINCT FROM l.broker
        AND m.vhost IS NOT DISTINCT FROM l.vhost AND m.environment IS NOT DISTINCT FROM l.environment
    WHERE coalesce(l.redelivered, false) AND l.requeues = 0
), lost_channel AS (       -- whose channel took it before, and was it over by then
    SELECT m.key, m.message,
        -- its first delivery was seen elsewhere, or some channel of the queue had taken its last
        bool_or(list_contains(m.lanes, e.lane) OR (m.fresh = 0 AND e.last_ns <= m.received_ns)) AS closed,
        bool_and(e.last_ns <= m.first_ns OR e.first_ns >= m.last_ns) AS apart
    FROM returned m
    JOIN ends e ON e.queue = m.queue AND e.clock = m.clock AND e.lane <> m.lane AND e.broker IS NOT DISTINCT FROM m.broker
        AND e.vhost IS NOT DISTINCT FROM m.vhost AND e.environment IS NOT DISTINCT FROM m.environment
    GROUP BY m.key, m.message
), plain AS (              -- exchanges that keep the order, led to the queue by a binding that somebody made
    SELECT DISTINCT b.broker, b.vhost, b.source_name AS exchange, b.destination AS queue
    FROM topology_facts b JOIN topology_facts x ON x.kind = 'exchange' AND x.action = 'declare' AND x.name = b.source_name
        AND x.type IN ('direct', 'topic', 'fanout', 'headers') AND x.broker IS NOT DISTINCT FROM b.broker AND x.vhost IS NOT DISTINCT FROM b.vhost
    WHERE b.kind = 'binding' AND b.action = 'bind' AND coalesce(b.destination_kind, 'queue') = 'queue'
), channels AS (           -- how many consuming channels took from each queue
    SELECT environment, broker, vhost, queue, count(*) AS channels FROM ends GROUP BY ALL
), suspected AS (          -- the broker alone may have done it, should all be known
    SELECT DISTINCT environment, broker, vhost, queue, lane FROM late
    WHERE late_delivery AND late_on_lane AND NOT coalesce(redelivered, false) AND requeues = 0 AND max_priority IS NULL AND NOT queue_unknown
), counted AS (            -- consuming channels of which a census says that no delivery went unseen
    SELECT e.environment, e.broker, e.vhost, e.queue, e.lane, max(e.tag) AS until_tag
    FROM (
        SELECT m.*, CAST(c.told->>'$.delivery_tag' AS BIGINT) AS tag
        FROM ends m
        JOIN suspected s ON s.queue = m.queue AND s.lane = m.lane AND s.broker IS NOT DISTINCT FROM m.broker AND s.vhost IS NOT DISTINCT FROM m.vhost
            AND s.environment IS NOT DISTINCT FROM m.environment
        JOIN (SELECT epoch, unnest(CAST(census->'$.consumers' AS JSON[])) AS told FROM census WHERE json_valid(census)) c
            ON c.epoch = m.epoch AND CAST(c.told->>'$.channel' AS BIGINT) = m.channel
    ) e
    WHERE NOT EXISTS (SELECT 1 FROM census c WHERE c.epoch = e.epoch AND json_valid(c.census) AND CAST(c.census->>'$.spans_dropped' AS BIGINT) > 0)
      AND (SELECT count(DISTINCT d.delivery_tag) FROM delivery_facts d WHERE d.epoch = e.epoch AND d.channel = e.channel AND d.delivery_tag <= e.tag) = e.tag
    GROUP BY e.environment, e.broker, e.vhost, e.queue, e.lane
), ruled AS (
    SELECT l.*, coalesce(a.surely_after, false) AS surely_after, coalesce(a.same_key, false) AS same_key,
        coalesce(c.closed, false) AS closed, coalesce(c.apart, false) AS apart,
        -- given back, perhaps, while no collector listened
        coalesce(len(list_filter(u.times, lambda t: t.to_ns >= coalesce(l.p_start_ns, l.received_ns) AND t.from_ns <= l.received_ns)) > 0, false) AS hidden,
        -- nobody of equal or lower standing came before
        l.late_delivery AND coalesce(a.least_priority > l.effective_priority, false) AS by_priority,
        -- whether the queue has priorities is not known, or it serves the two classes in turns
        l.late_delivery AND (l.queue_unknown OR l.is_quorum) AND coalesce(a.least_difference > 0, false) AS perhaps_priority,
        l.max_priority IS NULL AND NOT l.queue_unknown AND coalesce(a.least_difference = 0, false)
            AND (l.exchange = '' OR x.exchange IS NOT NULL)
            AND n.until_tag >= l.delivery_tag AND l.declared_ns <= m.first_ns
            AND k.channels = 1 AS promised
    FROM late l CROSS JOIN (SELECT list({from_ns: from_ns, to_ns: to_ns}) AS times FROM unheard) u
    LEFT JOIN ahead a ON a.key = l.key AND a.message = l.message
    LEFT JOIN lost_channel c ON c.key = l.key AND c.message = l.message
    LEFT JOIN plain x ON x.exchange = l.exchange AND x.queue = l.queue AND x.broker IS NOT DISTINCT FROM l.broker AND x.vhost IS NOT DISTINCT FROM l.vhost
    LEFT JOIN channels k ON k.queue = l.queue AND k.broker IS NOT DISTINCT FROM l.broker AND k.vhost IS NOT DISTINCT FROM l.vhost AND k.environment IS NOT DISTINCT FROM l.environment
    LEFT JOIN ends m ON m.queue = l.queue AND m.clock = l.clock AND m.lane = l.lane AND m.broker IS NOT DISTINCT FROM l.broker
        AND m.vhost IS NOT DISTINCT FROM l.vhost AND m.environment IS NOT DISTINCT FROM l.environment
    LEFT JOIN counted n ON n.queue = l.queue AND n.lane = l.lane AND n.broker IS NOT DISTINCT FROM l.broker AND n.vhost IS NOT DISTINCT FROM l.vhost
        AND n.environment IS NOT DISTINCT FROM l.environment
), judged AS (
    SELECT r.*, late_delivery OR key_broken AS delivered_late,
        -- null: what is known does not tell what it was, and nothing is claimed
        CASE
            WHEN died > 0 AND (late_delivery OR late_completion) THEN 'dead_letter_retry'
            WHEN copy AND (late_delivery OR late_completion) THEN 'republished'
            WHEN requeues > 0 AND (late_delivery OR key_broken) THEN 'requeue'
            WHEN coalesce(redelivered, false) AND requeues = 0 AND (late_delivery OR key_broken) AND hidden THEN NULL
            WHEN coalesce(redelivered, false) AND requeues = 0 AND (late_delivery OR key_broken) AND closed
                THEN CASE WHEN single_active AND apart THEN 'failover' ELSE 'channel_closed' END
            WHEN late_retry THEN 'publish_retry'
            WHEN by_priority AND (max_priority IS NOT NULL OR is_quorum) THEN 'priority'
            WHEN perhaps_priority THEN NULL
            WHEN late_delivery AND NOT late_on_lane THEN 'competing_consumers'
            WHEN late_delivery AND coalesce(redelivered, false) THEN 'unknown'
            -- two threads on one channel take numbers in one order and write in another
            WHEN late_delivery AND NOT surely_after THEN NULL
            WHEN late_delivery AND promised THEN 'broker'
            WHEN late_delivery THEN 'unknown'
            WHEN late_completion THEN CASE WHEN late_completed_on_lane THEN 'concurrent_handlers' ELSE 'competing_consumers' END
            WHEN next_lane = lane THEN 'concurrent_handlers'
            ELSE 'competing_consumers'
        END AS cause
    FROM ruled r
), verdict AS (
    SELECT j.*,
        key_broken OR same_key OR coalesce(single_active, false) OR coalesce(ordered, false) AS order_asked,
        CASE WHEN cause = 'publish_retry' AND NOT late_delivery THEN earliest.message
             WHEN key_broken AND died IS NULL AND NOT copy THEN next_message
             WHEN late_delivery THEN d_overtaker WHEN late_completion THEN c_overtaker END AS overtaker,
        CASE WHEN cause = 'publish_retry' AND NOT late_delivery THEN overtakers
             WHEN late_delivery THEN d_extent WHEN late_completion THEN c_extent END AS extent
    FROM judged j
    WHERE cause IS NOT NULL
), told AS (               -- the deliveries of the late and of those before them, as evidence
    SELECT key, message,
        to_json(list({consumer_span_id: span_id, trace_id: trace_id, delivery_tag: delivery_tag, redelivered: redelivered,
            settled: settlement, time_ns: received_ns} ORDER BY received_ns, delivery_tag, span_id)) AS deliveries
    FROM classed SEMI JOIN (SELECT key, message FROM verdict UNION SELECT key, overtaker FROM verdict) USING (key, message)
    GROUP BY key, message
), rows AS (
    SELECT key, 'reordered' AS kind, cause,
        CASE
            WHEN cause = 'broker' THEN 'error'
            WHEN order_asked THEN CASE WHEN cause IN ('channel_closed', 'failover') THEN 'warning' ELSE 'error' END
            WHEN cause IN ('requeue', 'publish_retry') THEN 'warning'
            ELSE 'info'
        END AS severity,
        'late' AS role, message, p_trace_id AS trace_id, p_span_id AS producer_span_id, coalesce(message_id, p_message_id) AS message_id,
        environment, broker, vhost, queue, exchange, coalesce(p_routing_key, CASE WHEN died IS NULL AND stamp_ok THEN routing_key ELSE split_part(first_death, '|', 5) END) AS routing_key,
        producer_service, service AS consumer_service,
        to_json({
            late_by: list_filter([CASE WHEN late_delivery OR late_retry THEN 'delivery' END, CASE WHEN late_completion THEN 'completion' END,
                CASE WHEN key_broken THEN 'ordering_key' END], lambda x: x IS NOT NULL),
            sequence: n, extent: extent, overtaker: overtaker, order_asked: order_asked, retry_of: first, death: deaths,
            delivery_extent: CASE WHEN late_delivery THEN d_extent END, completion_extent: CASE WHEN late_completion THEN c_extent END,
            late_ns: CASE WHEN late_delivery THEN placed_ns - d_at_ns WHEN late_retry THEN placed_ns - earliest.at_ns
                WHEN late_completion THEN completed_ns - c_at_ns ELSE acked_ns - next_began_ns END,
            deliveries: t.deliveries}) AS evidence,
        CASE WHEN key_broken AND died IS NULL AND NOT copy THEN next_began_ns WHEN late_delivery OR late_retry THEN placed_ns ELSE completed_ns END AS event_ns,
        greatest(completed_ns, received_ns) AS facts_until_ns, newest_batch AS batch, overtaker
    FROM verdict JOIN told t USING (key, message)
)
SELECT key, kind, NULL AS verdict, cause, severity, 'proven' AS confidence, role, message, trace_id, producer_span_id, message_id,
    environment, broker, vhost, queue, exchange, routing_key, producer_service, consumer_service, evidence, event_ns, facts_until_ns, batch
FROM rows
UNION ALL
-- the one that came first, as context of the finding; it does not count
SELECT r.key, r.kind, NULL, r.cause, 'info', 'proven', 'overtaker', r.overtaker, f.p_trace_id, f.p_span_id, coalesce(f.message_id, f.p_message_id),
    r.environment, r.broker, r.vhost, r.queue, r.exchange, r.routing_key, r.producer_service, f.service,
    to_json({sequence: f.n, deliveries: t.deliveries}), f.placed_ns, f.placed_ns, f.newest_batch
FROM rows r JOIN finals f ON f.key = r.key AND f.message = r.overtaker JOIN told t ON t.key = f.key AND t.message = f.message
GROUP BY ALL
UNION ALL
-- what rests on what the queue's other consuming channels do, before or after: for whoever judges the
-- next loads (reordered_leaning.sql), not for the findings
SELECT key, 'reordered', NULL, cause, 'info', 'proven', 'leaning', message, NULL, NULL, NULL, environment, broker, vhost, queue, NULL, NULL, NULL, NULL,
    to_json({clock: clock, lane: lane, lanes: lanes, fresh: fresh, received_ns: received_ns, delivery_tag: delivery_tag, epoch: epoch, channel: channel,
        counted: NOT coalesce(redelivered, false)}), received_ns, received_ns, newest_batch
FROM judged
WHERE (coalesce(redelivered, false) AND requeues = 0 AND (late_delivery OR key_broken)) OR (late_delivery AND NOT coalesce(redelivered, false) AND cause IN ('broker', 'unknown'));
