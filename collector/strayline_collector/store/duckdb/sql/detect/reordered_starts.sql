-- From which `n` on each touched channel of a key is judged again: after the last of its `cuts` that all of
-- `changed` and `also` lie behind. A cut is a message that everything sent after it came after, in every
-- way that order is judged by: nothing behind a cut can overtake what is before it, nor be overtaken.
-- Channels that ended are one row of a cut (reordered_cuts.sql): what comes by one that began before and not surely after
-- all that `ends_before` knows of it lies before every such cut. `$ended`, `$keyed`: whether there are such cuts, and any with ordering
-- keys; where there are none nothing is planned for them. -1: from the first. `since_batch`: no load before it brought anything that lies behind. `whole`: keys whose
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
    SELECT u.k, u.c, u.n FROM cuts u JOIN by_lane f USING (k, c)
    JOIN (SELECT lane_id, clock_id, min(first_ns) AS first_ns, max(last_tag) AS last_tag FROM ends_before GROUP BY ALL) e
        ON e.lane_id = f.lane AND e.last_tag >= f.delivery_tag AND e.first_ns <= u.placed_ns AND u.clock IN (e.clock_id, -1)
    ANTI JOIN cuts o ON o.k = u.k AND o.c = u.c AND o.n = u.n AND o.lane = f.lane
    WHERE $ended AND u.lane = -1
    UNION
    SELECT u.k, u.c, u.n FROM cuts u JOIN by_clock f USING (k, c)
    JOIN (SELECT clock_id, min(first_ns) AS first_ns, max(last_ns) AS last_ns, max(last_done_ns) AS last_done_ns FROM ends_before GROUP BY clock_id) e
        ON e.clock_id = f.clock AND e.first_ns <= u.placed_ns AND (e.last_ns >= f.placed_ns OR e.last_done_ns >= f.completed_ns)
    ANTI JOIN cuts o ON o.k = u.k AND o.c = u.c AND o.n = u.n AND o.clock = f.clock
    WHERE $ended AND u.clock = -1
    UNION
    SELECT u.k, u.c, u.n FROM cuts u JOIN keyed f USING (k, c) WHERE $keyed AND u.done_ns > f.began_ns
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
