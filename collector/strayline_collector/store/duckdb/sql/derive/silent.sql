-- Whether this load has deliveries whose spans name no broker, and whether publishes are about its messages of
-- which that is so.
SELECT EXISTS (SELECT 1 FROM delivery_facts WHERE first_batch >= $since AND batch = $batch AND (broker IS NULL OR broker_inferred)) AS deliveries,
    EXISTS (SELECT 1 FROM publish_facts WHERE first_batch >= $since AND (broker IS NULL OR broker_inferred)) AS publishes;
