SELECT DISTINCT message, finding_id AS id, kind, role, finding_severity AS severity
FROM finding_verdicts
WHERE message IN (SELECT unnest($messages))
ORDER BY message, id, role;
