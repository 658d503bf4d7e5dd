-- Queues that this load shows at a broker where they were not known yet: by deliveries whose spans name the
-- broker, and by what is told of the topology. Generated names are in one place anyway.
SELECT DISTINCT environment, broker, vhost, queue FROM (
    SELECT environment, broker, vhost, queue FROM delivery_facts
    WHERE first_batch >= $since AND batch = $batch AND broker IS NOT NULL AND broker_inferred IS DISTINCT FROM true
    UNION ALL
    SELECT t.environment, coalesce(b.broker, t.broker), t.vhost, coalesce(t.name, t.destination)
    FROM topology_facts t LEFT JOIN broker_names b ON b.address = t.broker
    WHERE t.batch = $batch AND t.broker IS NOT NULL
        AND (t.kind = 'queue' AND t.action IN ('declare', 'check') OR t.kind = 'binding' AND t.action = 'bind' AND coalesce(t.destination_kind, 'queue') = 'queue')
)
WHERE queue IS NOT NULL AND NOT regexp_matches(queue, '^(amq\.|\*)')
EXCEPT SELECT environment, broker, vhost, queue FROM queue_places;
