-- Minutes that keep rows when those up to `$until` have gone.
SELECT minute FROM message_minutes GROUP BY minute HAVING min(batch) <= $until AND max(batch) > $until ORDER BY minute;
