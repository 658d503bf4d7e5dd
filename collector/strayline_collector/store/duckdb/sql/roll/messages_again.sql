-- Minutes of messages that are rolled up already and were told otherwise since.
SELECT DISTINCT received_ns // 60_000_000_000 AS minute FROM delivery_facts WHERE batch > $rolled AND first_batch <= $rolled
UNION
SELECT DISTINCT received_ns // 60_000_000_000 FROM handover_facts WHERE batch > $rolled AND first_batch <= $rolled
UNION
SELECT DISTINCT start_ns // 60_000_000_000 FROM publish_facts WHERE batch > $rolled AND first_batch <= $rolled
ORDER BY minute;
