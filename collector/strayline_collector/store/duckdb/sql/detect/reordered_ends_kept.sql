-- Of `ends` the consuming channels of which deliveries may be kept, and of the others in each queue, by each clock, the one
-- that ended first and the one that ended last: for what is kept they tell the same as all of them, whether one had
-- ended before, whether one was there at the same time, and that it was not alone (reordered.sql, reordered_leaning.sql).
SELECT *
FROM ends
QUALIFY last_ns >= $oldest_ns
    OR row_number() OVER (PARTITION BY environment, broker, vhost, queue, clock, last_ns >= $oldest_ns ORDER BY last_ns, lane) = 1
    OR row_number() OVER (PARTITION BY environment, broker, vhost, queue, clock, last_ns >= $oldest_ns ORDER BY last_ns DESC, lane) = 1;
