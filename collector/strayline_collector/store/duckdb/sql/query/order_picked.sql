-- The messages to show: all of the window when they fit; else the latest ones, the worst first, and
-- an even sample of the others.
FROM (
    SELECT position, sequence, m, received_ns, at_ns, again, cause, extent, true AS late FROM late
    ORDER BY extent DESC, position LIMIT $late_most
) UNION ALL
SELECT position, sequence, m, received_ns, at_ns, again, NULL, 0, false FROM (FROM arranged WHERE (position - $from) % $every = 0) a
WHERE position NOT IN (SELECT position FROM late);
