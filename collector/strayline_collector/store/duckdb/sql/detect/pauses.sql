-- Times in which nothing came out of a touched queue for as long as stalls take at least, with the
-- longest such time before; `to_ns` is null while it lasts. A pause that matters is longer than a
-- bucket, and so between two buckets; one that lasts matters only where something may wait.
WITH buckets AS (
    SELECT environment, broker, vhost, queue, received_ns // CAST(stalled_after_s * 1e9 / (2 * stalled_gap_factor) AS BIGINT) AS bucket,
        min(received_ns) AS first_ns, max(received_ns) AS last_ns
    FROM delivery_facts, thresholds
    WHERE queue IS NOT NULL AND death IS NULL
    GROUP BY ALL
), steps AS (
    SELECT environment, broker, vhost, queue, last_ns AS from_ns, lead(first_ns) OVER of_queue AS to_ns
    FROM buckets WINDOW of_queue AS (PARTITION BY environment, broker, vhost, queue ORDER BY bucket)
), pauses AS (
    SELECT *, coalesce(max(to_ns - from_ns) OVER (PARTITION BY environment, broker, vhost, queue ORDER BY from_ns ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS longest_ns
    FROM steps
), patient AS (      -- times in a pause may be told by a clock of any year: no integer holds a multiple of them
    SELECT *, least(9e18, greatest(stalled_after_s * 1e9, stalled_gap_factor * CAST(longest_ns AS DOUBLE))) AS patience_ns
    FROM pauses, thresholds
), unseen AS (
    SELECT DISTINCT coalesce(vhost, '') AS vhost FROM publish_facts p
    ANTI JOIN (SELECT hash(message) AS message_hash FROM delivery_facts WHERE message IS NOT NULL) d ON d.message_hash = hash(p.message)
), newest AS (
    SELECT coalesce(vhost, '') AS vhost, max(start_ns) AS start_ns FROM publish_facts GROUP BY ALL
)
SELECT concat_ws('|', coalesce(p.environment, ''), coalesce(p.broker, ''), coalesce(p.vhost, ''), p.queue) AS key,
    p.environment, p.broker, p.vhost, p.queue, p.from_ns, CASE WHEN p.to_ns <= m.now_ns THEN p.to_ns END AS to_ns, p.longest_ns,
    CAST(p.patience_ns AS BIGINT) AS patience_ns
FROM patient p CROSS JOIN moment m
WHERE coalesce(p.to_ns, m.now_ns) - p.from_ns >= p.patience_ns
  AND concat_ws('|', coalesce(p.environment, ''), coalesce(p.broker, ''), coalesce(p.vhost, ''), p.queue) IN (SELECT key FROM touched)
  AND (p.to_ns <= m.now_ns OR coalesce(p.vhost, '') IN (SELECT vhost FROM unseen)
    OR EXISTS (SELECT 1 FROM newest n WHERE n.vhost = coalesce(p.vhost, '') AND n.start_ns > p.from_ns));
