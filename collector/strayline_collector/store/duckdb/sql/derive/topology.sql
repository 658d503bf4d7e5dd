-- What shims saw declared, bound and deleted (`strayline.topology` spans): a service's intent, and
-- proof of what the broker had at that moment. They tell it again now and then, with the time it had
-- at first (a `strayline.census` span's `strayline.topology`): what is known already adds no row.
INSERT INTO topology_facts BY NAME
WITH said AS (
    SELECT s.*, unnest(json_transform(doc, '{"items":[{"action":"VARCHAR","kind":"VARCHAR","name":"VARCHAR","type":"VARCHAR",
            "durable":"BOOLEAN","auto_delete":"BOOLEAN","exclusive":"BOOLEAN","arguments":"JSON","source_name":"VARCHAR",
            "destination":"VARCHAR","destination_kind":"VARCHAR","routing_key":"VARCHAR","at_unix_nano":"BIGINT"}]}').items) AS item
    FROM (
        SELECT environment, service, process, start_ns,
            json_extract_string(attributes, ['$."strayline.broker"', '$."strayline.vhost"', '$."strayline.epoch"']) AS a,
            attributes->>'$."strayline.topology"' AS doc
        FROM told
        WHERE name IN ('strayline.topology', 'strayline.census')
    ) s
    WHERE json_valid(doc)
), facts AS (
    SELECT DISTINCT
        $batch AS batch, 'shim' AS source, 'intended' AS role, false AS complete,
        environment, a[1] AS broker, a[2] AS vhost, service, process AS instance, a[3] AS epoch,
        item.action AS action, item.kind AS kind, item.name AS name, item.type AS type,
        item.durable AS durable, item.auto_delete AS auto_delete, item.exclusive AS exclusive,
        CAST(item.arguments AS VARCHAR) AS arguments,
        item.source_name AS source_name, item.destination AS destination,
        item.destination_kind AS destination_kind, item.routing_key AS routing_key,
        coalesce(sane_ns(CAST(item.at_unix_nano AS VARCHAR)), start_ns) AS seen_ns
    FROM said
    WHERE item.action IN ('declare', 'delete', 'purge', 'bind', 'unbind', 'check')
      AND item.kind IN ('exchange', 'queue', 'binding')
), known AS MATERIALIZED (   -- of these processes alone: with half a million facts 30 ms of CPU in place of 150
    SELECT * FROM topology_facts WHERE source = 'shim' AND coalesce(instance, '') IN (SELECT coalesce(process, '') FROM told)
)
SELECT * FROM facts f
WHERE NOT EXISTS (
    SELECT 1 FROM known k
    WHERE k.instance IS NOT DISTINCT FROM f.instance AND k.seen_ns = f.seen_ns AND k.epoch IS NOT DISTINCT FROM f.epoch
        AND k.action = f.action AND k.kind = f.kind AND k.service IS NOT DISTINCT FROM f.service AND k.environment IS NOT DISTINCT FROM f.environment
        AND k.broker IS NOT DISTINCT FROM f.broker AND k.vhost IS NOT DISTINCT FROM f.vhost AND k.name IS NOT DISTINCT FROM f.name
        AND k.type IS NOT DISTINCT FROM f.type AND k.arguments IS NOT DISTINCT FROM f.arguments AND k.source_name IS NOT DISTINCT FROM f.source_name
        AND k.destination IS NOT DISTINCT FROM f.destination AND k.destination_kind IS NOT DISTINCT FROM f.destination_kind
        AND k.routing_key IS NOT DISTINCT FROM f.routing_key AND k.durable IS NOT DISTINCT FROM f.durable
        AND k.auto_delete IS NOT DISTINCT FROM f.auto_delete AND k.exclusive IS NOT DISTINCT FROM f.exclusive
);
