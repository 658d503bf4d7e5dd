-- Of each message of `leaning` whose cause rests on what the queue's consuming channels did before and after:
-- what follows from that, as text, so that it is judged again once that is something else. Not what every channel
-- did: after an hour of restarts there were 168, each new one had a thousand messages judged again, and none otherwise.
WITH others AS (         -- as `lost_channel` and `promised` have it (reordered.sql)
    SELECT l.key, l.message, CASE WHEN l.counted THEN any_value(m.first_ns) END AS first_ns, any_value(c.channels) = 1 AS alone,
        NOT l.counted AND coalesce(bool_or(list_contains(l.lanes, e.lane) OR (l.fresh = 0 AND e.last_ns <= l.received_ns)), false) AS closed,
        NOT l.counted AND coalesce(bool_and(e.last_ns <= m.first_ns OR e.first_ns >= m.last_ns), false) AS apart
    FROM leaning l
    LEFT JOIN ends m ON m.queue = l.queue AND m.clock = l.clock AND m.lane = l.lane AND m.broker IS NOT DISTINCT FROM l.broker
        AND m.vhost IS NOT DISTINCT FROM l.vhost AND m.environment IS NOT DISTINCT FROM l.environment
    LEFT JOIN ends e ON e.queue = l.queue AND e.clock = CASE WHEN m.lane IS NOT NULL THEN l.clock END AND e.lane <> l.lane AND e.broker IS NOT DISTINCT FROM l.broker
        AND e.vhost IS NOT DISTINCT FROM l.vhost AND e.environment IS NOT DISTINCT FROM l.environment
    LEFT JOIN (SELECT environment, broker, vhost, queue, count(*) AS channels FROM ends GROUP BY ALL) c
        ON c.queue = l.queue AND c.broker IS NOT DISTINCT FROM l.broker AND c.vhost IS NOT DISTINCT FROM l.vhost AND c.environment IS NOT DISTINCT FROM l.environment
    GROUP BY l.key, l.message, l.counted
), counts AS (      -- whether a census says that none of its channel's went unseen, up to it
    SELECT t.key, t.message, t.dropped,
        (SELECT count(DISTINCT d.delivery_tag) FROM delivery_facts d WHERE d.epoch = t.epoch AND d.channel = t.channel AND d.delivery_tag <= t.tag) = t.tag AS whole
    FROM (
        SELECT l.key, l.message, l.epoch, l.channel, max(c.dropped) AS dropped, min(c.tag) FILTER (WHERE c.tag >= l.delivery_tag) AS tag
        FROM leaning l
        JOIN (
            SELECT epoch, dropped, CAST(told->>'$.channel' AS BIGINT) AS channel, CAST(told->>'$.delivery_tag' AS BIGINT) AS tag
            FROM (SELECT epoch, CAST(census->>'$.spans_dropped' AS BIGINT) AS dropped, unnest(CAST(census->'$.consumers' AS JSON[])) AS told
                  FROM census WHERE json_valid(census))
        ) c ON c.epoch = l.epoch AND c.channel = l.channel
        WHERE l.counted
        GROUP BY l.key, l.message, l.epoch, l.channel
    ) t
)
SELECT l.key, l.message, to_json({first_ns: o.first_ns, alone: o.alone, closed: o.closed, apart: o.apart, dropped: coalesce(c.dropped, 0) > 0, whole: coalesce(c.whole, false)})::VARCHAR AS rests_on
FROM leaning l JOIN others o ON o.key = l.key AND o.message = l.message LEFT JOIN counts c ON c.key = l.key AND c.message = l.message;
