-- Verdicts → incidents: one broken promise with all the messages that broke it. Context rows
-- (overtaker, original) do not count. `final` verdicts wait for no more telemetry. Of calls the `peer`
-- makes the promise, as queue, exchange and key do of messages.
WITH counted AS (
    SELECT *, batch <= $settled_batch OR facts_until_ns <= $final_until_ns AS final, CASE WHEN verdict = 'call' THEN consumer_service END AS peer
    FROM verdicts WHERE role NOT IN ('overtaker', 'original')
), steps AS (
    -- episodes split where nothing happened for 30 minutes of event time
    SELECT *, coalesce(event_ns - lag(event_ns) OVER (
        PARTITION BY kind, verdict, cause, environment, broker, vhost, queue, exchange, routing_key, producer_service, peer
        ORDER BY event_ns) > 1800000000000, false)::INTEGER AS starts
    FROM counted
), numbered AS (
    SELECT *, sum(starts) OVER (
        PARTITION BY kind, verdict, cause, environment, broker, vhost, queue, exchange, routing_key, producer_service, peer
        ORDER BY event_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS episode
    FROM steps
), episodes AS (
    SELECT kind, verdict, cause, environment, broker, vhost, queue, exchange, routing_key, producer_service, peer, episode,
        min(event_ns) AS from_ns, max(event_ns) AS to_ns,
        -- a silent hop is one verdict and many messages
        greatest(count(DISTINCT message), max(TRY_CAST(evidence->>'$.unseen' AS BIGINT)) FILTER (WHERE role = 'hop')) AS count,
        any_value(consumer_service) AS consumer_service, count(DISTINCT consumer_service) AS consumers,
        bool_or(final) AS final, bool_or(confidence = 'proven') AS proven,
        -- an error by its proven messages only
        max(CASE WHEN severity = 'error' AND confidence = 'proven' THEN 3 WHEN severity IN ('error', 'warning') THEN 2 ELSE 1 END) AS severity,
        max(TRY_CAST(evidence->>'$.extent' AS BIGINT)) AS worst_extent,
        min_by(evidence, event_ns) AS first_evidence, count(DISTINCT message) FILTER (WHERE confidence = 'proven') AS proven_count
    FROM numbered GROUP BY ALL
)
SELECT kind, verdict, cause, environment, broker, vhost, queue, exchange, routing_key, producer_service,
    CASE WHEN max(consumers) = 1 AND count(DISTINCT consumer_service) = 1 THEN any_value(consumer_service) END AS consumer_service,
    min(from_ns) AS first_seen_ns, max(to_ns) AS last_seen_ns, sum(count)::BIGINT AS count,
    bool_or(final) AS final, bool_or(proven) AS proven, max(severity) AS severity, max(worst_extent) AS worst_extent,
    arg_min(first_evidence, from_ns) AS evidence,
    to_json(list({from_ns: from_ns, to_ns: to_ns, count: count} ORDER BY from_ns)) AS episodes
FROM episodes
GROUP BY kind, verdict, cause, environment, broker, vhost, queue, exchange, routing_key, producer_service, peer;
