-- Of `placed` the retries, with all that was sent since their first try and came before them. Asked apart from
-- reordered_needed.sql, which takes a third more with it, and only where there are retries.
WITH retried AS (
    SELECT p.k, p.c, p.n, r.first_channel, r.first_n, p.placed_ns
    FROM placed p JOIN tried_again r USING (k, c, n)
)
SELECT k, c, n FROM retried
UNION
SELECT p.k, p.c, p.n FROM placed p SEMI JOIN retried r ON r.k = p.k AND r.first_channel = p.c AND p.n > r.first_n AND p.placed_ns <= r.placed_ns;
