-- From which `n` on each touched channel of a key is judged again: after the last of its `cuts` that all of
-- `changed` and `also` lie behind. A cut is a message that everything sent after it came after, in every
-- way that order is judged by: nothing behind a cut can overtake what is before it, nor be overtaken.
-- -1: from the first. `since_batch`: no load before it brought anything that lies behind. `whole`: keys whose
-- every channel is judged from its first.
WITH firsts AS (
    SELECT k, c, min(n) AS n, min(first_batch) AS first_batch FROM (SELECT k, c, n, first_batch FROM changed UNION ALL SELECT k, c, n, NULL FROM also) GROUP BY ALL
), by_clock AS (
    SELECT k, c, clock, min(received_ns) AS placed_ns, min(completed_ns) AS completed_ns FROM changed GROUP BY ALL
), by_lane AS (
    SELECT k, c, lane, min(delivery_tag) AS delivery_tag, min(completed_ns) AS completed_ns FROM changed GROUP BY ALL
), keyed AS (
    SELECT k, c, min(began_ns) AS began_ns FROM changed WHERE okey IS NOT NULL GROUP BY ALL
), known AS (
    SELECT DISTINCT k, c FROM cuts
), crossed AS (
    SELECT u.k, u.c, u.n FROM cuts u JOIN by_clock f USING (k, c, clock) WHERE u.placed_ns >= f.placed_ns OR u.completed_ns >= f.completed_ns
    UNION
    SELECT u.k, u.c, u.n FROM cuts u JOIN by_lane f USING (k, c, lane) WHERE u.delivery_tag >= f.delivery_tag OR u.completed_ns >= f.completed_ns
    UNION
    SELECT u.k, u.c, u.n FROM cuts u JOIN keyed f USING (k, c) WHERE u.done_ns > f.began_ns
), held AS (
    SELECT u.k, u.c, max(u.n) AS n, arg_max(u.since_batch, u.n) AS since_batch
    FROM cuts u JOIN firsts f ON f.k = u.k AND f.c = u.c AND u.n < f.n
    ANTI JOIN crossed x ON x.k = u.k AND x.c = u.c AND x.n = u.n
    GROUP BY u.k, u.c
)
SELECT f.k, f.c, coalesce(h.n, -1) AS n, CASE WHEN h.n IS NOT NULL THEN least(h.since_batch, f.first_batch) WHEN o.k IS NOT NULL THEN 0 ELSE coalesce(f.first_batch, 0) END AS since_batch,
    f.first_batch
FROM firsts f LEFT JOIN held h ON h.k = f.k AND h.c = f.c LEFT JOIN known o ON o.k = f.k AND o.c = f.c
WHERE f.k NOT IN (SELECT k FROM whole)
UNION ALL
SELECT k, c, -1, 0, 0 FROM (SELECT k, c FROM firsts UNION SELECT k, c FROM known) WHERE k IN (SELECT k FROM whole);
