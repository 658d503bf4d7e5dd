-- The load of the last declare that a shim reported, and the load that last changed a publish.
SELECT coalesce((SELECT max(batch) FROM topology_facts WHERE source = 'shim'), 0) AS declared, coalesce((SELECT max(batch) FROM publish_facts), 0) AS newest;
