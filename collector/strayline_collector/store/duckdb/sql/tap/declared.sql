-- The load of the last declare that a shim reported, the load that last changed a publish, and the
-- next load's number.
SELECT coalesce((SELECT max(batch) FROM topology_facts WHERE source = 'shim'), 0) AS declared,
    coalesce((SELECT max(batch) FROM publish_facts), 0) AS newest, coalesce((SELECT max(batch) + 1 FROM loaded), 1) AS next;
