-- The whole queue in figures, and how many of what lie in the window of positions.
SELECT count(*) AS messages, count(*) FILTER (WHERE a.known) AS judged, count(l.m) AS late, coalesce(max(l.extent), 0) AS worst_extent, count(*) FILTER (WHERE a.again) AS redelivered,
    count(*) FILTER (WHERE a.position BETWEEN $from AND $to) AS window_messages, count(l.m) FILTER (WHERE a.position BETWEEN $from AND $to) AS window_late
FROM arranged a LEFT JOIN late l ON l.m = a.m;
