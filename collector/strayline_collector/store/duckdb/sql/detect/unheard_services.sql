-- Times in which a service may have agreed something with its broker that nobody was told of: from when no collector
-- listened (`unheard`), unless every process of it that was heard since says that it dropped nothing; until another one
-- began that dropped nothing either, and the others have gone. `to_ns` null: still.
WITH counted AS (
    SELECT instance, arg_max(TRY_CAST(census->>'$.spans_dropped' AS BIGINT), at_ns) AS dropped, max(at_ns) AS at_ns
    FROM census WHERE json_valid(census) GROUP BY instance
), tellers AS (
    SELECT DISTINCT service FROM topology_facts WHERE source = 'shim' AND kind = 'binding'
), lives AS (
    SELECT p.service, u.from_ns, p.first_event_ns, p.last_event_ns,
        coalesce(c.dropped = 0 AND c.at_ns > u.to_ns, false) AS whole, p.first_event_ns > u.to_ns AS begun_after
    FROM (SELECT process, service, min(first_event_ns) AS first_event_ns, max(last_event_ns) AS last_event_ns FROM processes GROUP BY ALL) p
    SEMI JOIN tellers t ON t.service = p.service
    JOIN unheard u ON p.last_event_ns >= u.from_ns
    LEFT JOIN counted c ON c.instance = p.process
), known AS (
    SELECT t.service, u.from_ns, count(l.service) FILTER (WHERE NOT l.begun_after) AS lasting, coalesce(bool_and(l.whole), false) AS whole,
        min(l.first_event_ns) FILTER (WHERE l.begun_after AND l.whole) AS anew_ns, max(l.last_event_ns) FILTER (WHERE NOT l.whole) AS gone_ns
    FROM tellers t CROSS JOIN unheard u LEFT JOIN lives l ON l.service = t.service AND l.from_ns = u.from_ns
    GROUP BY ALL
)
SELECT service, from_ns, CASE WHEN anew_ns IS NOT NULL THEN greatest(anew_ns, coalesce(gone_ns, 0)) END AS to_ns
FROM known WHERE NOT (lasting > 0 AND whole);
