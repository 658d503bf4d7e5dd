SELECT * FROM findings
WHERE ($id IS NULL OR id = $id)
  AND ($kind IS NULL OR kind = $kind) AND ($severity IS NULL OR severity = $severity)
  AND CASE WHEN $status IS NULL THEN $id IS NOT NULL OR status IN ('provisional', 'open') ELSE status = $status END
  AND ($triage IS NULL OR triage = $triage) AND ($confidence IS NULL OR confidence = $confidence)
  AND ($queue IS NULL OR queue = $queue) AND ($since_ns IS NULL OR last_seen_ns >= $since_ns)
ORDER BY CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, last_seen_ns DESC, id
LIMIT $limit OFFSET $offset;
