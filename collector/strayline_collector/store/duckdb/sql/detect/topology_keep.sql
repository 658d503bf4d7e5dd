INSERT INTO topology_facts BY NAME
SELECT (SELECT coalesce(max(batch), 0) + 1 FROM loaded) AS batch, 'document' AS source, * FROM said;
