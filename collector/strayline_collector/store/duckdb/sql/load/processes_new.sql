-- Processes heard for the first time.
INSERT INTO processes BY NAME
SELECT a.process, min(a.service) AS service, min(a.host) AS host,
    min(a.start_ns) AS first_event_ns, max(a.end_ns) AS last_event_ns, max(a.received_ns) AS heard_ns
FROM arrived a
WHERE a.process IS NOT NULL AND a.process NOT IN (SELECT process FROM processes)
GROUP BY a.process;
