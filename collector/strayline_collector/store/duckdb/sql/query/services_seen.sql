-- Every service that was heard of, the first first: of processes, and where none was named, of spans.
SELECT name, min(first_ns)::BIGINT AS first_seen_unix_nano FROM (
    SELECT service AS name, first_event_ns AS first_ns FROM processes
    UNION ALL
    SELECT service, min(minute) * 60_000_000_000 FROM service_minutes WHERE service NOT IN (SELECT service FROM processes) GROUP BY service
) GROUP BY name ORDER BY first_seen_unix_nano, name LIMIT $limit;
