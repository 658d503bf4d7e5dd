-- Verdicts of `due` parts of time added up, by everything that makes a finding the same finding and by part. Context rows
-- (overtaker, original) do not count. What a part holds rests on every judgement of its messages, in whatever part: which of
-- them stands is said by the view `verdicts`, whose words these are. Of calls the `peer` makes the promise, as queue, exchange and key do of messages.
WITH near AS (
    SELECT DISTINCT hash(kind, environment, broker, vhost, queue, message) AS slot FROM judgements
    WHERE $whole OR event_ns // $part_ns IN (SELECT part FROM due)
), standing AS (
    SELECT *, event_ns // $part_ns AS part, CASE WHEN verdict = 'call' THEN consumer_service END AS peer
    FROM judgements
    WHERE role NOT IN ('overtaker', 'original') AND ($whole OR hash(kind, environment, broker, vhost, queue, message) IN (SELECT slot FROM near))
    QUALIFY row_number() OVER (
        PARTITION BY kind, environment, broker, vhost, queue, message
        ORDER BY CASE verdict WHEN 'stale_binding' THEN 1 WHEN 'refused' THEN 2 WHEN 'outlier' THEN 3
                WHEN 'publish_retry' THEN 1 WHEN 'unseen' THEN 1 WHEN 'alternate' THEN 1 ELSE 0 END,
            confidence = 'proven' DESC, CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, detector, key, cause, evidence) = 1
)
SELECT kind, verdict, cause, environment, broker, vhost, queue, exchange, routing_key, producer_service, peer, part,
    min(event_ns) AS from_ns, max(event_ns) AS to_ns, count(*) AS messages,
    -- a silent hop is one verdict and many messages
    max(CASE WHEN role = 'hop' THEN TRY_CAST(evidence->>'$.unseen' AS BIGINT) END) AS unseen,
    list_sort(list(DISTINCT consumer_service) FILTER (WHERE consumer_service IS NOT NULL)) AS consumers,
    min(batch) AS batch, min(facts_until_ns) AS facts_until_ns, bool_or(confidence = 'proven') AS proven,
    -- an error by its proven messages only
    max(CASE WHEN severity = 'error' AND confidence = 'proven' THEN 3 WHEN severity IN ('error', 'warning') THEN 2 ELSE 1 END) AS severity,
    max(TRY_CAST(evidence->>'$.extent' AS BIGINT)) AS worst_extent, min_by(evidence, event_ns) AS evidence
FROM standing
WHERE $whole OR part IN (SELECT part FROM due)
GROUP BY ALL;
