-- Least and greatest displacement (positive: late) of each step of positions in the window.
SELECT $from + (a.position - $from) // $step * $step AS position, min(a.position - a.sequence) AS displacement_min, max(a.position - a.sequence) AS displacement_max,
    min(a.sequence) AS sequence_min, max(a.sequence) AS sequence_max, count(*) AS messages, count(l.m) AS late, coalesce(max(l.extent), 0) AS extent_max, min(a.at_ns) AS at_ns
FROM arranged a LEFT JOIN late l ON l.m = a.m
WHERE a.position BETWEEN $from AND $to
GROUP BY ALL ORDER BY position;
