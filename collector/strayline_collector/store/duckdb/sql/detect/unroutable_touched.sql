-- One key for all: how bad a return is depends on everything else that its key and exchange saw.
SELECT 'all' AS key
WHERE EXISTS (SELECT 1 FROM publish_facts WHERE batch > $since)
   OR EXISTS (SELECT 1 FROM delivery_facts WHERE batch > $since)
   OR EXISTS (SELECT 1 FROM topology_facts WHERE batch > $since)
   OR EXISTS (SELECT 1 FROM topology_sources WHERE batch > $since);
