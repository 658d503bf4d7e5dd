-- Times of which not all may have been told, since no collector listened (detect/absence.py). A span is sent some
-- seconds after its end, and who found nobody tries again after a while: fifteen seconds on either side.
SELECT CAST(substr(key, 8) AS BIGINT) - 15000000000 AS from_ns, CAST(value AS BIGINT) + 15000000000 AS to_ns
FROM meta WHERE key LIKE 'absent:%';
