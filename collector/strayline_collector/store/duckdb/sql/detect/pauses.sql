-- Times in which nothing came out of a touched queue for as long as stalls take at least, with the
-- longest such time before; `to_ns` is null while it lasts, `unheard` when no collector heard more. A pause that matters is longer than a
-- bucket, and so between two buckets; one that lasts matters only where something may wait. What came out while no
-- collector listened nobody knows: a pause ends where that begins, and another begins where it ends.
WITH buckets AS (
    SELECT environment, broker, vhost, queue, received_ns // CAST(stalled_after_s * 1e9 / (2 * stalled_gap_factor) AS BIGINT) AS bucket,
        min(received_ns) AS first_ns, max(received_ns) AS last_ns
    FROM delivery_facts, thresholds
    WHERE queue IS NOT NULL AND death IS NULL
    GROUP BY ALL
), bounds AS (
    SELECT environment, broker, vhost, queue, first_ns, last_ns, false AS unheard FROM buckets
    UNION ALL
    SELECT q.environment, q.broker, q.vhost, q.queue, u.at_ns, u.at_ns, u.begins
    FROM (SELECT environment, broker, vhost, queue, min(first_ns) AS first_ns FROM buckets GROUP BY ALL) q
    JOIN (SELECT from_ns AS at_ns, true AS begins FROM unheard UNION ALL SELECT to_ns, false FROM unheard) u ON u.at_ns > q.first_ns
), steps AS (
    SELECT environment, broker, vhost, queue, max(last_ns) OVER (of_queue ROWS UNBOUNDED PRECEDING) AS from_ns, lead(first_ns) OVER of_queue AS to_ns,
        coalesce(lead(unheard) OVER of_queue, false) AS unheard
    FROM bounds WINDOW of_queue AS (PARTITION BY environment, broker, vhost, queue ORDER BY first_ns)
), heard AS (
    SELECT s.* FROM steps s ANTI JOIN unheard u ON s.from_ns >= u.from_ns AND s.to_ns <= u.to_ns
), pauses AS (
    SELECT *, coalesce(max(to_ns - from_ns) OVER (PARTITION BY environment, broker, vhost, queue ORDER BY from_ns ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS longest_ns
    FROM heard
), patient AS (      -- times in a pause may be told by a clock of any year: no integer holds a multiple of them
    SELECT *, least(9e18, greatest(stalled_after_s * 1e9, stalled_gap_factor * CAST(longest_ns AS DOUBLE))) AS patience_ns
    FROM pauses, thresholds
), long AS MATERIALIZED (
    SELECT p.*, m.now_ns FROM patient p CROSS JOIN moment m
    WHERE coalesce(p.to_ns, m.now_ns) - p.from_ns >= p.patience_ns
      AND concat_ws('|', coalesce(p.environment, ''), coalesce(p.broker, ''), coalesce(p.vhost, ''), p.queue) IN (SELECT key FROM touched)
), lasting AS MATERIALIZED (      -- where there is none, nobody need look for what waits
    SELECT DISTINCT coalesce(vhost, '') AS vhost FROM long WHERE to_ns IS NULL OR to_ns > now_ns
), unseen AS (
    SELECT DISTINCT coalesce(vhost, '') AS vhost FROM publish_facts p
    ANTI JOIN (SELECT hash(message) AS message_hash FROM delivery_facts WHERE message IS NOT NULL AND EXISTS (SELECT 1 FROM lasting)) d ON d.message_hash = hash(p.message)
    WHERE coalesce(vhost, '') IN (SELECT vhost FROM lasting)
), newest AS (
    SELECT coalesce(vhost, '') AS vhost, max(start_ns) AS start_ns FROM publish_facts WHERE coalesce(vhost, '') IN (SELECT vhost FROM lasting) GROUP BY ALL
)
SELECT concat_ws('|', coalesce(p.environment, ''), coalesce(p.broker, ''), coalesce(p.vhost, ''), p.queue) AS key,
    p.environment, p.broker, p.vhost, p.queue, p.from_ns, CASE WHEN p.to_ns <= p.now_ns THEN p.to_ns END AS to_ns, p.unheard, p.longest_ns,
    CAST(p.patience_ns AS BIGINT) AS patience_ns
FROM long p
WHERE p.to_ns <= p.now_ns OR coalesce(p.vhost, '') IN (SELECT vhost FROM unseen)
    OR EXISTS (SELECT 1 FROM newest n WHERE n.vhost = coalesce(p.vhost, '') AND n.start_ns > p.from_ns);
