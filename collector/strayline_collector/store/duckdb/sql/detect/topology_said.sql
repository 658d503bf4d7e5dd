-- Everything said of the topology, with how long the one who said it was heard: of a process that may have taken
-- it back while no collector listened (`unheard_services`), until then.
SELECT f.source, f.document, f.role, f.complete, f.environment, f.broker, f.vhost, f.service, f.instance, f.epoch, f.action, f.kind, f.name, f.type,
    f.durable, f.auto_delete, f.exclusive, f.internal, f.arguments, f.source_name, f.destination, f.destination_kind, f.routing_key, f.seen_ns,
    CASE f.source WHEN 'shim' THEN CASE WHEN w.service IS NULL THEN p.last_event_ns ELSE least(p.last_event_ns, w.from_ns) END WHEN 'management' THEN coalesce(f.until_ns, c.checked_ns) ELSE f.until_ns END AS until_ns,
    f.possibly_from_ns, f.possibly_to_ns
FROM topology_facts f
-- keys that are null elsewhere: a condition of its own beside equal columns would have every pair looked at
LEFT JOIN topology_sources c ON c.document = CASE WHEN f.source = 'management' THEN f.document END
LEFT JOIN (SELECT process, max(last_event_ns) AS last_event_ns FROM processes GROUP BY process) p
    ON p.process = CASE WHEN f.source = 'shim' THEN f.instance END
LEFT JOIN (
    SELECT s.service, f.seen_ns, min(s.from_ns) AS from_ns FROM unheard_services s JOIN (SELECT DISTINCT service, seen_ns FROM topology_facts WHERE source = 'shim') f
        ON f.service = s.service AND f.seen_ns < s.from_ns GROUP BY ALL
) w ON w.service = CASE WHEN f.source = 'shim' THEN f.service END AND w.seen_ns = f.seen_ns
ORDER BY f.seen_ns, f.kind, f.name;
