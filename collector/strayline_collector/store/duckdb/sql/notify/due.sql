-- Findings of which a receiver is to be told something new: that one opened, that it grew worse, or that
-- it happens again after half an hour without. Muted ones never.
SELECT f.id, f.severity, f.last_seen_ns,
    CASE WHEN n.id IS NULL OR (n.waiting AND n.event = 'opened') THEN 'opened' WHEN f.rank > n.rank THEN 'severity' ELSE 'episode' END AS event
FROM (
    SELECT *, CASE severity WHEN 'error' THEN 3 WHEN 'warning' THEN 2 ELSE 1 END AS rank,
        CAST(episodes->>'$[#-1].from_ns' AS BIGINT) AS episode_from_ns
    FROM findings
    WHERE status = 'open' AND NOT (triage = 'muted' AND coalesce(muted_until_ns > $now_ns, true))
) f
LEFT JOIN (
    SELECT *, CASE severity WHEN 'error' THEN 3 WHEN 'warning' THEN 2 ELSE 1 END AS rank FROM notices WHERE receiver = $receiver
) n ON n.id = f.id
WHERE f.rank >= $least_rank
  AND (n.id IS NULL OR f.rank > n.rank OR f.episode_from_ns > n.told_to_ns + 1800000000000)
ORDER BY f.rank DESC, f.last_seen_ns, f.id
LIMIT $limit;
