-- Findings of messages. `among` as in query/judged.py.
SELECT DISTINCT message, finding_id AS id, kind, role, finding_severity AS severity
FROM finding_verdicts
WHERE message IN (SELECT unnest($messages)) AND ($among IS NULL OR list_contains($among, message))
ORDER BY message, id, role;
