-- Settle spans of this load: what became of deliveries whose handling span had ended before.
-- Each link names one delivery's span. Where another process handled it, a span without links
-- names the delivery by its channel's epoch and by `channel.tag`, in the places of those ids.
INSERT INTO settlement_facts BY NAME
SELECT DISTINCT
    $batch AS batch,
    l.link->>'$.trace_id' AS trace_id,
    l.link->>'$.span_id' AS span_id,
    s.attributes->>'$."strayline.settlement"' AS settlement,
    coalesce(sane_ns(s.attributes->>'$."strayline.settled_unix_nano"'), s.start_ns) AS settled_ns
FROM told s, unnest(CAST(json_extract(s.links, '$[*]') AS JSON[])) AS l(link)
WHERE s.messaging_operation = 'settle' AND s.messaging_system = 'rabbitmq'
  AND (s.attributes->>'$."strayline.settlement"') IS NOT NULL
UNION ALL
SELECT DISTINCT $batch, a[1], a[2] || '.' || a[3], a[4], coalesce(sane_ns(a[5]), start_ns)
FROM (
    SELECT start_ns, json_extract_string(attributes, [
        '$."strayline.epoch"', '$."strayline.channel"', '$."messaging.rabbitmq.message.delivery_tag"',
        '$."strayline.settlement"', '$."strayline.settled_unix_nano"']) AS a
    FROM told
    WHERE messaging_operation = 'settle' AND messaging_system = 'rabbitmq'
      AND coalesce(json_array_length(links), 0) = 0
)
WHERE a[1] IS NOT NULL AND a[2] IS NOT NULL AND a[3] IS NOT NULL AND a[4] IS NOT NULL;
