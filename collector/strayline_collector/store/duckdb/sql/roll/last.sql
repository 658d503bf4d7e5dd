-- How far loads are rolled up, how far they could be, and how many spans lie between.
SELECT r.batch AS rolled, n.batch AS newest, n.spans - r.spans AS waiting
FROM (SELECT coalesce(max(batch), 0) AS batch, coalesce(arg_max(spans, batch), 0) AS spans FROM rolled) r, (SELECT batch, spans FROM loaded ORDER BY batch DESC LIMIT 1) n;
