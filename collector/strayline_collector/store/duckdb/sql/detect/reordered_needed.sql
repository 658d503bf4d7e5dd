-- The deliveries that `reordered` needs to see of `placed` (reordered_placed.sql): nearly all messages come
-- in order, and judging is dear. A superset, found by sorting narrow rows. Whatever overtakes, or is overtaken by,
-- another of its channel, by delivery or by completion: everything between two such is one or the
-- other, so that extents are counted right. Blocks of 256 messages by `n` that are sorted, and that no
-- other block reaches into, are put aside first. Ordering keys of which a later message began before
-- an earlier one was done. `retried` (reordered_needed_retries.sql). Then every delivery of those messages.
-- `course`: a hash of channel and clock, for sorting by one column is half as dear as by three. Should two be
-- the same, more is needed, never less: what is in order together is so apart.
WITH numbered AS MATERIALIZED (
    SELECT k, c, n, course, placed_ns, completed_ns, row_number() OVER by_n // 256 AS block,
        coalesce(placed_ns <= lag(placed_ns) OVER by_n OR completed_ns <= lag(completed_ns) OVER by_n, false) AS turned
    FROM (SELECT k, c, n, hash(k, c, clock) AS course, placed_ns, completed_ns FROM placed) WINDOW by_n AS (PARTITION BY course ORDER BY n)
), blocks AS (
    SELECT course, block, bool_or(turned) AS turned, min(placed_ns) AS from_ns, max(placed_ns) AS to_ns, min(completed_ns) AS done_from_ns, max(completed_ns) AS done_to_ns
    FROM numbered GROUP BY ALL
), unsorted AS (
    SELECT course, block FROM blocks
    WINDOW before AS (PARTITION BY course ORDER BY block ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        after AS (PARTITION BY course ORDER BY block ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
    QUALIFY turned OR max(to_ns) OVER before >= from_ns OR max(done_to_ns) OVER before >= done_from_ns
        OR min(from_ns) OVER after <= to_ns OR min(done_from_ns) OVER after <= done_to_ns
), astray AS (      -- of equal places either may have been first
    SELECT k, c, n FROM numbered SEMI JOIN unsorted USING (course, block)
    WINDOW delivered AS (PARTITION BY course ORDER BY placed_ns), completed AS (PARTITION BY course ORDER BY completed_ns)
    QUALIFY max(n) OVER (delivered RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) > n OR min(n) OVER (delivered RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) < n
        OR max(n) OVER (completed RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) > n OR min(n) OVER (completed RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) < n
), broken_keys AS (
    SELECT DISTINCT okey FROM (
        SELECT okey, lag(done_ns) OVER (PARTITION BY okey ORDER BY okey_n) > began_ns OR began_ns > done_ns AS broken FROM placed WHERE okey IS NOT NULL
    ) WHERE broken
), wanted AS (
    SELECT k, c, n FROM astray
    UNION
    SELECT k, c, n FROM placed SEMI JOIN broken_keys USING (okey)
    UNION
    FROM retried
)
SELECT rid, placed_ns FROM placed SEMI JOIN wanted USING (k, c, n);
