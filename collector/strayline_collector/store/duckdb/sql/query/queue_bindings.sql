SELECT DISTINCT source_name, routing_key FROM topology
WHERE kind = 'binding' AND destination = $queue AND coalesce(destination_kind, 'queue') = 'queue'
  AND ($broker IS NULL OR broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost IS NULL OR vhost = $vhost) AND source_name <> ''
ORDER BY ALL;
