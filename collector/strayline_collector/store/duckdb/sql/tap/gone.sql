-- `gone` was there at the last look ($last_ns) and is not at this one ($now_ns).
UPDATE topology_facts SET until_ns = greatest(topology_facts.seen_ns, $last_ns), possibly_to_ns = $now_ns
FROM gone
WHERE topology_facts.source = 'management' AND topology_facts.document = $document AND topology_facts.until_ns IS NULL
    AND topology_facts.kind = gone.kind AND topology_facts.vhost = gone.vhost
    AND topology_facts.name IS NOT DISTINCT FROM gone.name AND topology_facts.type IS NOT DISTINCT FROM gone.type
    AND topology_facts.arguments IS NOT DISTINCT FROM gone.arguments AND topology_facts.source_name IS NOT DISTINCT FROM gone.source_name
    AND topology_facts.destination IS NOT DISTINCT FROM gone.destination AND topology_facts.destination_kind IS NOT DISTINCT FROM gone.destination_kind
    AND topology_facts.routing_key IS NOT DISTINCT FROM gone.routing_key AND topology_facts.durable IS NOT DISTINCT FROM gone.durable
    AND topology_facts.auto_delete IS NOT DISTINCT FROM gone.auto_delete AND topology_facts.exclusive IS NOT DISTINCT FROM gone.exclusive
    AND topology_facts.internal IS NOT DISTINCT FROM gone.internal;
