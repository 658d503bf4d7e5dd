-- How far loads are rolled up, how far they could be, and how many spans lie between; up to which load
-- calls are known by the minute alone.
SELECT r.batch AS rolled, (SELECT coalesce(max(batch), 0) FROM calls_by_minute) AS by_minute, n.batch AS newest, n.spans - r.spans AS waiting
FROM (SELECT coalesce(max(batch), 0) AS batch, coalesce(arg_max(spans, batch), 0) AS spans FROM rolled) r, (SELECT batch, spans FROM loaded ORDER BY batch DESC LIMIT 1) n;
