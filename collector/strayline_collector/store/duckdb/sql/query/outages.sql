-- Times in which no collector listened (detect/absence.py) that reach into a range.
SELECT CAST(substr(key, 8) AS BIGINT) AS start_ns, CAST(value AS BIGINT) AS end_ns
FROM meta WHERE key LIKE 'absent:%' AND CAST(substr(key, 8) AS BIGINT) <= $end_ns AND CAST(value AS BIGINT) >= $start_ns
ORDER BY start_ns;
