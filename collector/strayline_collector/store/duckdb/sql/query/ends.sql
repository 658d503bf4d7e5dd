-- Between which times of a range anything may have happened, by what is known of each process and of
-- spans that name none: as wide as what happened, or wider.
WITH named AS (
    SELECT min(first_event_ns) AS oldest_ns, max(last_event_ns) AS newest_ns FROM processes
), nameless AS (
    SELECT min(start_ns) AS oldest_ns, max(start_ns) AS newest_ns FROM spans
    WHERE process IS NULL AND start_ns BETWEEN $start_ns AND $end_ns
)
SELECT CASE WHEN coalesce(p.oldest_ns, s.oldest_ns) IS NOT NULL THEN greatest($start_ns, least(p.oldest_ns, s.oldest_ns)) END AS oldest_ns,
    CASE WHEN coalesce(p.newest_ns, s.newest_ns) IS NOT NULL THEN least($end_ns, greatest(p.newest_ns, s.newest_ns)) END AS newest_ns
FROM named p CROSS JOIN nameless s;
