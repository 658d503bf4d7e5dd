-- Up to which start the next page of an export may reach: reads one column, so that the wide one
-- need not be sorted beyond it.
SELECT max(start_ns) AS until_ns
FROM (SELECT start_ns FROM spans WHERE start_ns BETWEEN $from_ns AND $end_ns ORDER BY start_ns LIMIT $limit);
