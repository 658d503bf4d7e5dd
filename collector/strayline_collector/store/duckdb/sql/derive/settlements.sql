-- Settle spans of this load: what became of deliveries whose handling span had ended before.
-- Each link names one delivery's span.
INSERT INTO settlement_facts BY NAME
SELECT DISTINCT
    $batch AS batch,
    l.link->>'$.trace_id' AS trace_id,
    l.link->>'$.span_id' AS span_id,
    s.attributes->>'$."strayline.settlement"' AS settlement,
    coalesce(sane_ns(s.attributes->>'$."strayline.settled_unix_nano"'), s.start_ns) AS settled_ns
FROM spans s, unnest(CAST(json_extract(s.links, '$[*]') AS JSON[])) AS l(link)
WHERE s.batch = $batch AND s.messaging_operation = 'settle' AND s.messaging_system = 'rabbitmq'
  AND (s.attributes->>'$."strayline.settlement"') IS NOT NULL;
