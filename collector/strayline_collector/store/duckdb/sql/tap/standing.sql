-- What a polled source said last.
SELECT kind, vhost, action, name, type, arguments, source_name, destination, destination_kind, routing_key, durable, auto_delete, exclusive, internal
FROM topology_facts WHERE source = 'management' AND document = $document AND until_ns IS NULL;
