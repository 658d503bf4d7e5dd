-- Which messages of these, or of those published or delivered in these traces, verdicts were said of.
SELECT DISTINCT message FROM judgements
WHERE message IN (
    SELECT unnest($messages)
    UNION ALL SELECT message FROM judgements WHERE trace_id IN (SELECT unnest($trace_ids))
    UNION ALL SELECT message FROM delivery_facts WHERE trace_id IN (SELECT unnest($trace_ids))
);
