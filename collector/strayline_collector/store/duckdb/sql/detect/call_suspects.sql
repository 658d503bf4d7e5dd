-- Callers and peers with so many calls that no server's span answers, by what is rolled up and what waits to be.
SELECT source, target
FROM (SELECT source, target, external, protocol, calls FROM call_minutes UNION ALL SELECT source, target, external, protocol, calls FROM calls_waiting)
WHERE external AND protocol IN ('http', 'grpc')
GROUP BY source, target HAVING sum(calls) >= (SELECT uninstrumented_messages FROM thresholds);
