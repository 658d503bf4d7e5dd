SELECT count(*) AS facts, max(batch) AS batch FROM topology_facts;
