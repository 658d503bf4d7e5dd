-- The load after which the newest $spans spans came, by whole rolls; 0 where there are no more.
SELECT coalesce(max(batch), 0) AS batch FROM rolled WHERE spans <= (SELECT max(spans) FROM loaded) - $spans;
