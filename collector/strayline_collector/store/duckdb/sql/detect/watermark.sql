SELECT
    min(least(last_event_ns, heard_ns)) FILTER (WHERE heard_ns >= $since_ns) AS slowest_ns,
    max(least(last_event_ns, heard_ns)) AS newest_ns,
    max(heard_ns) AS heard_ns
FROM processes;
