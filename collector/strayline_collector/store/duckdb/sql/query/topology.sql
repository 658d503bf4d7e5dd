SELECT * FROM topology
WHERE ($at_ns IS NULL OR (coalesce(possibly_from, least(surely_from, $at_ns)) <= $at_ns AND coalesce(possibly_to, $at_ns) >= $at_ns))
ORDER BY kind, name, source_name, destination, routing_key, role, service, surely_from
LIMIT 10000;
