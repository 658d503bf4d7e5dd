-- The retries that were delivered, with the last time at which one was.
SELECT w.k, w.c, w.n, any_value(r.first_channel) AS first_channel, any_value(r.first_n) AS first_n, max(w.received_ns) AS last_ns
FROM window_rows w JOIN tried_again r ON r.k = w.k AND r.c = w.c AND r.n = w.n
GROUP BY w.k, w.c, w.n
UNION ALL
SELECT b.* FROM retried_before b LEFT JOIN starts s ON s.k = b.k AND s.c = b.c WHERE s.n IS NULL OR s.n >= b.n;
