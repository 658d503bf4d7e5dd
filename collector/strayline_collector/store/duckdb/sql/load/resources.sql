-- What resources the load brings that none had.
INSERT INTO resources
SELECT $batch, resource FROM told_resources
WHERE resource NOT IN (SELECT resource FROM resources WHERE resource IS NOT NULL)
  AND NOT many_resources();
