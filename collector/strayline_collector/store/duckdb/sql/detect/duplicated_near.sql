-- The deliveries of touched messages of which `duplicated` or `redelivery_loop` may have something to say: handled twice with
-- success, or tried as often as a loop is. Most messages that came again are neither, and of two dozen columns few need be read.
WITH came AS (   -- messages are looked for by eight bytes first: keys are long
    SELECT rowid AS rid, queue, hash(message) AS met, settlement, coalesce(failed, false) AS failed
    FROM delivery_facts WHERE first_batch >= $from AND queue IS NOT NULL AND message IS NOT NULL
    UNION ALL
    SELECT rowid, queue, hash(array_to_string(string_split(stamp, '.')[2:4], '.')), settlement, coalesce(failed, false)
    FROM delivery_facts WHERE first_batch >= $from AND queue IS NOT NULL AND message IS NULL AND stamp IS NOT NULL
), touching AS MATERIALIZED (
    SELECT * FROM came WHERE met IN (SELECT hash(split_part(key, '|', -1)) FROM touched)
), telling AS (
    SELECT met, queue FROM touching GROUP BY ALL
    HAVING count(*) FILTER (WHERE settlement IN ('ack', 'sent', 'auto') AND NOT failed) > 1
        OR count(*) FILTER (WHERE settlement IN ('nack_requeue', 'reject_requeue') OR failed) >= (SELECT loop_tries FROM thresholds)
)
SELECT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, met) AS key, *
FROM (
    SELECT coalesce(message, array_to_string(string_split(stamp, '.')[2:4], '.')) AS met, message, stamp, stamp_ok, source, batch, environment, broker, vhost,
        queue, exchange, routing_key, service, trace_id, span_id, delivery_tag, redelivered, death, failed, settlement, received_ns, handled_end_ns, settled_ns
    FROM delivery_facts d SEMI JOIN (SELECT rid FROM touching SEMI JOIN telling USING (met, queue)) t ON t.rid = d.rowid
);
