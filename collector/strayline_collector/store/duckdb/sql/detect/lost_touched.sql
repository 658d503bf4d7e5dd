-- Keys of `lost`: one queue. Its deliveries touch it; publishes, topology and census touch every
-- queue, because what is missing names none. Time alone touches those whose messages expire, and
-- what was absent, or emptied, when the last telemetry was still to come: two minutes before the moment
-- of the last judgement, which may be long ago (a collector that was away, a settling). So do queues that RabbitMQ
-- said were empty then, or are while something was published. `$dead`: whether anything was ever rejected (detect/digest.py);
-- where nothing was the history is not read for it.
WITH span AS (
    SELECT now_ns, least(now_ns, $judged_ns) AS judged_ns FROM moment
), news AS (
    SELECT now_ns, judged_ns, EXISTS (SELECT 1 FROM publish_facts WHERE batch > $since) OR EXISTS (SELECT 1 FROM topology_facts WHERE batch > $since)
        OR EXISTS (SELECT 1 FROM census WHERE batch > $since)
        OR EXISTS (SELECT 1 FROM topology_facts WHERE action IN ('purge', 'delete') AND seen_ns BETWEEN judged_ns - 120000000000 AND now_ns)
        OR EXISTS (SELECT 1 FROM census WHERE at_ns BETWEEN judged_ns - 120000000000 AND now_ns AND contains(census, '"last": true'))
        OR EXISTS (SELECT 1 FROM publish_facts p WHERE p.expiration_ms BETWEEN 0 AND 4294967295
            AND p.end_ns BETWEEN judged_ns - 600000000000 - least(p.expiration_ms, 4294967295) * 1000000
                AND now_ns + 600000000000 - least(p.expiration_ms, 4294967295) * 1000000) AS everywhere
    FROM span
), rejected AS MATERIALIZED (
    SELECT DISTINCT environment, broker, vhost, queue, message FROM delivery_facts SEMI JOIN (SELECT queue FROM came_ways WHERE dead) USING (queue)
    WHERE $dead AND settlement IN ('nack_drop', 'reject_drop') AND message IS NOT NULL
)
SELECT DISTINCT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue) AS key
FROM (
    SELECT environment, broker, vhost, queue FROM came_ways, news
    WHERE queue IS NOT NULL AND (everywhere OR batch > $since OR last_ns > judged_ns - 120000000000)
    UNION ALL    -- where one of its rejected messages comes to light elsewhere
    SELECT r.environment, r.broker, r.vhost, r.queue FROM rejected r SEMI JOIN delivery_facts d ON d.message = r.message AND d.batch > $since
    UNION ALL
    SELECT q.environment, q.broker, q.vhost, q.queue FROM came_ways q, news
    WHERE EXISTS (SELECT 1 FROM queue_levels v WHERE v.state = 'empty' AND v.queue = q.queue AND v.broker IS NOT DISTINCT FROM q.broker AND v.vhost IS NOT DISTINCT FROM q.vhost
        AND v.seen_to >= judged_ns - 120000000000
        AND (v.seen_from >= judged_ns - 120000000000 OR EXISTS (SELECT 1 FROM publish_facts p WHERE p.end_ns BETWEEN judged_ns - 120000000000 AND now_ns)))
    UNION ALL
    SELECT environment, broker, vhost, name FROM queue_traits, news WHERE everywhere OR ttl_ms IS NOT NULL
);
