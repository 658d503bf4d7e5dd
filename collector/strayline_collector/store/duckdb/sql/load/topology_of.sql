-- What a load has told of the topology so far, by process.
SELECT instance AS process, count(*) AS facts FROM topology_facts WHERE batch = $batch GROUP BY ALL;
