-- Names are hashed backwards too: one text's hash in DuckDB is the same for some names that differ in two places.
-- When each consuming channel took its first and its last of each queue, by the loads after `$since` and
-- by `ends`, what was known before.
WITH told AS (
    SELECT min(received_ns) AS first_ns, max(received_ns) AS last_ns, max(rowid) AS rid
    FROM delivery_facts WHERE batch > $since AND queue IS NOT NULL
    GROUP BY hash(environment, broker, vhost, queue, host, epoch, instance, service, channel, reverse(queue), reverse(instance))
)
SELECT environment, broker, vhost, queue, clock, lane, any_value(epoch) AS epoch, any_value(channel) AS channel, min(first_ns) AS first_ns, max(last_ns) AS last_ns
FROM (
    SELECT d.environment, d.broker, d.vhost, d.queue, coalesce(d.host, d.epoch, d.instance, d.service) AS clock,
        CASE WHEN d.epoch IS NULL THEN concat_ws('/', d.service, coalesce(d.instance, ''), '', coalesce(d.channel, -1))
             ELSE concat_ws('/', d.service, d.epoch, coalesce(d.channel, -1)) END AS lane,
        d.epoch, d.channel, t.first_ns, t.last_ns
    FROM delivery_facts d JOIN told t ON t.rid = d.rowid
    UNION ALL
    SELECT * FROM ends
)
GROUP BY ALL;
