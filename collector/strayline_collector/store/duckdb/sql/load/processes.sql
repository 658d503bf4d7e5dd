UPDATE processes AS p
SET first_event_ns = least(p.first_event_ns, a.first_ns), last_event_ns = greatest(p.last_event_ns, a.last_ns),
    heard_ns = greatest(p.heard_ns, a.heard_ns)
FROM (SELECT process, min(start_ns) AS first_ns, max(end_ns) AS last_ns, max(received_ns) AS heard_ns
      FROM arrived WHERE process IS NOT NULL GROUP BY process) AS a
WHERE p.process = a.process;
