-- Every process of the load is heard, some for the first time.
MERGE INTO processes AS p
USING (
    SELECT process, min(service) AS service, min(host) AS host, min(start_ns) AS first_ns, max(end_ns) AS last_ns, max(received_ns) AS heard_ns
    FROM arrived WHERE process IS NOT NULL GROUP BY process
) AS a
ON p.process = a.process
WHEN MATCHED THEN UPDATE SET first_event_ns = least(p.first_event_ns, a.first_ns),
    last_event_ns = greatest(p.last_event_ns, a.last_ns), heard_ns = greatest(p.heard_ns, a.heard_ns)
WHEN NOT MATCHED THEN INSERT VALUES (a.process, a.service, a.host, a.first_ns, a.last_ns, a.heard_ns);
