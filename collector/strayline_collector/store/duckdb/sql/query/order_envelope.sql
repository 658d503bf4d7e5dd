-- Least and greatest displacement (positive: late) of each step of positions in the window.
WITH steps AS (
    SELECT $from + (position - $from) // $step * $step AS position, min(position - sequence) AS displacement_min, max(position - sequence) AS displacement_max,
        min(sequence) AS sequence_min, max(sequence) AS sequence_max, count(*) AS messages, min(at_ns) AS at_ns
    FROM arranged GROUP BY ALL
), late_steps AS (
    SELECT $from + (position - $from) // $step * $step AS position, count(*) AS late, max(extent) AS extent_max
    FROM late GROUP BY ALL
)
SELECT s.position, s.displacement_min, s.displacement_max, s.sequence_min, s.sequence_max, s.messages, coalesce(l.late, 0) AS late, coalesce(l.extent_max, 0) AS extent_max, s.at_ns
FROM steps s LEFT JOIN late_steps l ON l.position = s.position
ORDER BY s.position;
