-- The cuts after judging (reordered_starts.sql): of `window_rows` those that hold, and those before them. They
-- are looked for at the end of each channel, where nothing lies behind yet, and at two places for each doubling
-- of the distance from it; of the older ones as many are kept. Consuming channels that ended are one row by each
-- clock, lane -1, and clocks that are gone one in all, clock -1: what is kept does not grow with restarts.
WITH tops AS (
    SELECT k, c, max(n) AS n FROM window_rows GROUP BY ALL
), parts AS (
    SELECT w.k, w.c, floor(2 * log2(t.n - w.n + 1))::INTEGER AS part, clock, lane, max(w.n) AS n, min(first_batch) AS first_batch,
        min(delivery_tag) AS tag_from, max(delivery_tag) AS tag_to, min(received_ns) AS placed_from, max(received_ns) AS placed_to,
        min(completed_ns) AS completed_from, max(completed_ns) AS completed_to,
        min(CASE WHEN okey IS NOT NULL THEN began_ns END) AS began_ns, max(CASE WHEN okey IS NOT NULL THEN done_ns END) AS done_ns
    FROM window_rows w JOIN tops t ON t.k = w.k AND t.c = w.c
    GROUP BY ALL
    UNION ALL
    SELECT u.k, u.c, 1000, u.clock, u.lane, u.n, NULL, NULL, u.delivery_tag, NULL, u.placed_ns, NULL, u.completed_ns, NULL, u.done_ns
    FROM cuts u JOIN starts s ON s.k = u.k AND s.c = u.c AND s.n = u.n
), places AS (
    SELECT DISTINCT k, c, part FROM parts WHERE part < 1000
), sides AS (
    SELECT a.part AS cut, p.part >= a.part AS before, p.* FROM places a JOIN parts p ON p.k = a.k AND p.c = a.c
), crossed AS (
    SELECT k, c, cut FROM sides GROUP BY k, c, cut, clock
    HAVING max(placed_to) FILTER (WHERE before) >= min(placed_from) FILTER (WHERE NOT before)
        OR max(completed_to) FILTER (WHERE before) >= min(completed_from) FILTER (WHERE NOT before)
    UNION
    SELECT k, c, cut FROM sides GROUP BY k, c, cut, lane
    HAVING max(tag_to) FILTER (WHERE before) >= min(tag_from) FILTER (WHERE NOT before)
        OR max(completed_to) FILTER (WHERE before) >= min(completed_from) FILTER (WHERE NOT before)
    UNION
    SELECT k, c, cut FROM sides GROUP BY k, c, cut
    HAVING max(done_ns) FILTER (WHERE before) > min(began_ns) FILTER (WHERE NOT before)
), bounds AS (
    SELECT k, c, cut, max(n) FILTER (WHERE before) AS n, coalesce(min(first_batch) FILTER (WHERE NOT before), CAST($newest AS BIGINT) + 1) AS since_batch
    FROM sides GROUP BY k, c, cut
), all_cuts AS (
    SELECT s.k, s.c, any_value(b.n) AS n, s.clock, s.lane, max(s.tag_to) AS delivery_tag, max(s.placed_to) AS placed_ns, max(s.completed_to) AS completed_ns,
        max(s.done_ns) AS done_ns, any_value(b.since_batch) AS since_batch, any_value(t.n) AS top
    FROM sides s JOIN bounds b USING (k, c, cut) JOIN tops t ON t.k = s.k AND t.c = s.c ANTI JOIN crossed x ON x.k = s.k AND x.c = s.c AND x.cut = s.cut
    WHERE s.before
    GROUP BY s.k, s.c, s.cut, s.clock, s.lane
    UNION ALL
    SELECT u.k, u.c, u.n, u.clock, u.lane, u.delivery_tag, u.placed_ns, u.completed_ns, u.done_ns, least(u.since_batch, s.first_batch), greatest(t.n, u.n)
    FROM cuts u JOIN starts s ON s.k = u.k AND s.c = u.c AND u.n <= s.n LEFT JOIN tops t ON t.k = u.k AND t.c = u.c
), thinned AS (
    SELECT * EXCLUDE (top) FROM all_cuts QUALIFY n = min(n) OVER (PARTITION BY k, c, floor(2 * log2(top - n + 1)))
), quiet AS (    -- consuming channels that took nothing for `$silent_ns`, and clocks by which nothing came for `$gone_ns`
    SELECT lane_id, clock_id, last_ns < max(last_ns) OVER (PARTITION BY clock_id) - CAST($silent_ns AS BIGINT) AS silent,
        max(last_ns) OVER (PARTITION BY clock_id) < max(last_ns) OVER () - CAST($gone_ns AS BIGINT) AS gone
    FROM (SELECT lane_id, clock_id, max(last_ns) AS last_ns FROM ends GROUP BY ALL)
), resting AS (     -- of producing channels of which nothing came for so long the last cut stays
    SELECT u.* FROM cuts u ANTI JOIN starts s USING (k, c)
    QUALIFY n = max(n) OVER (PARTITION BY k, c) OR max(placed_ns) OVER (PARTITION BY k, c) >= (SELECT max(last_ns) FROM ends) - CAST($gone_ns AS BIGINT)
), kept AS (
    SELECT u.* EXCLUDE (clock, lane), CASE WHEN q.gone THEN -1 ELSE u.clock END AS clock, CASE WHEN q.silent OR q.gone THEN -1 ELSE u.lane END AS lane
    FROM (SELECT * FROM thinned UNION ALL SELECT * FROM resting) u LEFT JOIN quiet q ON q.lane_id = u.lane
)
SELECT k, c, n, clock, lane, CASE WHEN lane = -1 THEN NULL ELSE max(delivery_tag) END AS delivery_tag,
    max(placed_ns) AS placed_ns, max(completed_ns) AS completed_ns, max(done_ns) AS done_ns, min(since_batch) AS since_batch
FROM kept
GROUP BY k, c, n, clock, lane;
