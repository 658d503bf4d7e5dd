-- What is late in the whole queue, on the basis that is shown (`late`) and on each, and of it in the window of positions.
SELECT count(*) FILTER (WHERE by_basis) AS late, coalesce(max(extent) FILTER (WHERE by_basis), 0) AS worst_extent,
    count(*) FILTER (WHERE by_delivery) AS late_by_delivery, count(*) FILTER (WHERE by_completion) AS late_by_completion, count(*) AS late_by_either,
    count(*) FILTER (WHERE by_basis AND position BETWEEN $from AND $to) AS window_late
FROM (SELECT *, CASE $basis WHEN 'completion' THEN by_completion ELSE by_delivery END AS by_basis FROM placed);
