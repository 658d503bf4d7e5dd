-- Times of which not all may have been told, since no collector listened (detect/absence.py). A span is sent some
-- seconds after its end, and who found nobody tries again after a while: fifteen seconds on either side. What
-- happened after `doubt_ns`, five minutes before, may have had its sequel then.
SELECT CAST(substr(key, 8) AS BIGINT) - 15000000000 AS from_ns, CAST(value AS BIGINT) + 15000000000 AS to_ns,
    CAST(substr(key, 8) AS BIGINT) - 315000000000 AS doubt_ns
FROM meta WHERE key LIKE 'absent:%';
