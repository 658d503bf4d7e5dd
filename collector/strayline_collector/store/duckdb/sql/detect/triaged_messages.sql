-- The messages of findings of which somebody said something, before what is new is judged.
SELECT finding_id AS id, kind, message, queue
FROM finding_verdicts
WHERE role NOT IN ('overtaker', 'original') AND finding_id IN (SELECT id FROM findings WHERE triage <> 'new' OR note IS NOT NULL);
