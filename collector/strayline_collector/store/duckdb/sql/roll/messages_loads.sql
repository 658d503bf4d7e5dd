-- Facts by the load that brought them.
SELECT batch, sum(facts)::BIGINT AS facts FROM (
    SELECT first_batch AS batch, count(*) AS facts FROM delivery_facts WHERE first_batch > $rolled AND first_batch <= $until GROUP BY first_batch
    UNION ALL
    SELECT first_batch, count(*) FROM publish_facts WHERE first_batch > $rolled AND first_batch <= $until GROUP BY first_batch
) GROUP BY batch ORDER BY batch;
