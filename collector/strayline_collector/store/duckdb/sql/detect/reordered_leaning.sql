-- Of each message of `leaning` whose cause rests on what the queue's consuming channels did before and after:
-- what it rests on, as text, so that it is judged again once that is something else.
WITH others AS (
    SELECT l.key, l.message, m.first_ns,
        (SELECT count(*) FROM ends e WHERE e.queue = l.queue AND e.broker IS NOT DISTINCT FROM l.broker AND e.vhost IS NOT DISTINCT FROM l.vhost
            AND e.environment IS NOT DISTINCT FROM l.environment) AS channels,
        list({lane: e.lane, own: list_contains(l.lanes, e.lane), before: e.last_ns <= l.received_ns, ahead: e.last_ns <= m.first_ns, after: e.first_ns >= m.last_ns} ORDER BY e.lane)
            FILTER (WHERE e.lane IS NOT NULL) AS lanes
    FROM leaning l
    LEFT JOIN ends m ON m.queue = l.queue AND m.clock = l.clock AND m.lane = l.lane AND m.broker IS NOT DISTINCT FROM l.broker
        AND m.vhost IS NOT DISTINCT FROM l.vhost AND m.environment IS NOT DISTINCT FROM l.environment
    LEFT JOIN ends e ON e.queue = l.queue AND e.clock = l.clock AND e.lane <> l.lane AND e.broker IS NOT DISTINCT FROM l.broker
        AND e.vhost IS NOT DISTINCT FROM l.vhost AND e.environment IS NOT DISTINCT FROM l.environment
    GROUP BY ALL
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
SELECT l.key, l.message, to_json({first_ns: o.first_ns, channels: o.channels, lanes: o.lanes, dropped: coalesce(c.dropped, 0) > 0, whole: coalesce(c.whole, false)})::VARCHAR AS rests_on
FROM leaning l JOIN others o ON o.key = l.key AND o.message = l.message LEFT JOIN counts c ON c.key = l.key AND c.message = l.message;
