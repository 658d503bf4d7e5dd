-- The load after which the newest $rows spans came, and perhaps more.
SELECT coalesce(max(batch), 0) AS since FROM (SELECT batch, spans FROM loaded UNION ALL SELECT batch, spans FROM rolled)
WHERE spans <= (SELECT max(spans) FROM loaded) - $rows;
