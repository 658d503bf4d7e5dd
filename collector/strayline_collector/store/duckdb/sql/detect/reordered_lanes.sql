-- When each consuming channel took its first and its last of each queue, what was done last and the highest tag, by the
-- loads after `$since` and by `ends`, what was known before. `lane_id`, `clock_id`: as reordered_rows.sql names them.
WITH told AS (
    SELECT environment, broker, vhost, queue, host, epoch, instance, service, channel,
        min(received_ns) AS first_ns, max(received_ns) AS last_ns, max(coalesce(delivery_tag, 9223372036854775807)) AS last_tag,
        max(CASE WHEN settlement = 'auto' THEN coalesce(handled_end_ns, received_ns) ELSE coalesce(settled_ns, handled_end_ns, received_ns) END) AS last_done_ns
    FROM delivery_facts WHERE batch > $since AND queue IS NOT NULL
    GROUP BY ALL
)
SELECT environment, broker, vhost, queue, clock, lane, any_value(epoch) AS epoch, any_value(channel) AS channel, min(first_ns) AS first_ns, max(last_ns) AS last_ns,
    lane_id, clock_id, max(last_tag) AS last_tag, max(last_done_ns) AS last_done_ns
FROM (
    SELECT d.environment, d.broker, d.vhost, d.queue, coalesce(d.host, d.epoch, d.instance, d.service) AS clock,
        CASE WHEN d.epoch IS NULL THEN concat_ws('/', d.service, coalesce(d.instance, ''), '', coalesce(d.channel, -1))
             ELSE concat_ws('/', d.service, d.epoch, coalesce(d.channel, -1)) END AS lane,
        d.epoch, d.channel, d.first_ns, d.last_ns,
        (hash(d.service, coalesce(d.epoch, d.instance, ''), d.epoch IS NULL, coalesce(d.channel, -1)) >> 1)::BIGINT AS lane_id,
        (hash(coalesce(d.host, d.epoch, d.instance, d.service)) >> 1)::BIGINT AS clock_id, d.last_tag, d.last_done_ns
    FROM told d
    UNION ALL
    SELECT * FROM ends
)
GROUP BY ALL;
