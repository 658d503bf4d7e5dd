SELECT min(start_ns) AS start_ns, max(start_ns) AS end_ns FROM spans
WHERE name NOT IN ('strayline.topology', 'strayline.census') AND start_ns BETWEEN $start_ns AND $end_ns;
