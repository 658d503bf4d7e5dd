-- What order rests on that is said of exchanges: which hold messages back, and which keep the order into which queue.
SELECT DISTINCT broker, vhost, NULL AS queue, name AS exchange FROM topology_facts WHERE kind = 'exchange' AND type = 'x-delayed-message'
UNION
SELECT b.broker, b.vhost, b.destination, b.source_name
FROM topology_facts b JOIN topology_facts x ON x.kind = 'exchange' AND x.action = 'declare' AND x.name = b.source_name
    AND x.type IN ('direct', 'topic', 'fanout', 'headers') AND x.broker IS NOT DISTINCT FROM b.broker AND x.vhost IS NOT DISTINCT FROM b.vhost
WHERE b.kind = 'binding' AND b.action = 'bind' AND coalesce(b.destination_kind, 'queue') = 'queue';
