-- A shim's span bears both names of its broker: from now on they are one. Only what one process
-- knows itself joins names, so that two ends of a federation never merge.
INSERT INTO broker_names BY NAME
SELECT s.server_address || ':' || s.server_port AS address, min(s.attributes->>'$."strayline.broker"') AS broker
FROM told s
WHERE s.server_address IS NOT NULL AND s.server_port IS NOT NULL
  AND (s.attributes->>'$."strayline.broker"') IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM broker_names b WHERE b.address = s.server_address || ':' || s.server_port)
GROUP BY s.server_address, s.server_port;
