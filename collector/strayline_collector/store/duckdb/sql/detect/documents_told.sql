-- Whether anything is said of the topology by which messages can be told to lead nowhere or astray.
SELECT count(*) > 0 AS told FROM topology_facts WHERE source <> 'shim' OR contains(coalesce(arguments, ''), 'alternate-exchange');
