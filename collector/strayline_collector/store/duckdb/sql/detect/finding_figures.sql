-- Standing findings by their labels; beyond so many queues, by when they were first named, the rest is one.
WITH standing AS (
    SELECT kind, coalesce(verdict, '') AS verdict, severity, coalesce(queue, '') AS queue, count, first_seen_ns
    FROM findings WHERE status <> 'retracted'
), shown AS (
    SELECT queue FROM standing GROUP BY queue ORDER BY min(first_seen_ns), queue LIMIT $queues
)
SELECT kind, verdict, severity, CASE WHEN queue IN (SELECT queue FROM shown) THEN queue ELSE 'other' END AS queue,
    count(*) AS findings, sum(count)::BIGINT AS messages
FROM standing GROUP BY ALL;
