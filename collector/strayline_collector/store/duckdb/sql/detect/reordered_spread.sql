-- Keys of which what is judged again cannot be told from the rest by their channels' cuts: ordering keys on
-- several channels, and retries that are judged again or that what is judged again may have overtaken.
SELECT k FROM (SELECT k, c FROM cuts WHERE done_ns IS NOT NULL UNION SELECT k, c FROM changed WHERE okey IS NOT NULL)
WHERE k IN (SELECT k FROM starts) GROUP BY k HAVING count(*) > 1
UNION
SELECT s.k FROM starts s JOIN tried_again r ON r.k = s.k AND r.c = s.c AND r.n > s.n
UNION
SELECT s.k FROM starts s JOIN retried_before r ON r.k = s.k AND r.first_channel = s.c
LEFT JOIN (    -- what is behind a cut came, by each clock, after all that is before it
    SELECT k, c, n, min(placed_ns) AS placed_ns FROM (SELECT k, c, n, clock, max(placed_ns) AS placed_ns FROM cuts WHERE clock <> -1 GROUP BY ALL) GROUP BY ALL
) u ON u.k = s.k AND u.c = s.c AND u.n = s.n
WHERE coalesce(u.placed_ns, 0) < r.last_ns;
