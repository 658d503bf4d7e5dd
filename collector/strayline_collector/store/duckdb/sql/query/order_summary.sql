-- The whole queue in figures, and how many of what lie in the window of positions.
SELECT count(*) AS messages, count(*) FILTER (WHERE a.known) AS judged, count(l.m) AS late, coalesce(max(l.extent), 0) AS worst_extent, count(*) FILTER (WHERE a.again) AS redelivered,
    count(e.m) FILTER (WHERE e.by_delivery) AS late_by_delivery, count(e.m) FILTER (WHERE e.by_completion) AS late_by_completion, count(e.m) AS late_by_either,
    count(*) FILTER (WHERE a.position BETWEEN $from AND $to) AS window_messages, count(l.m) FILTER (WHERE a.position BETWEEN $from AND $to) AS window_late
FROM arranged a LEFT JOIN late l ON l.m = a.m LEFT JOIN late_by_either e ON e.m = a.m;
