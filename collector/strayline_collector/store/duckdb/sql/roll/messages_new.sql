-- The times of deliveries of the loads after `$rolled` up to `$until`.
SELECT min(received_ns) AS from_ns, max(received_ns) AS to_ns FROM delivery_facts
WHERE first_batch > $rolled AND first_batch <= $until AND received_ns BETWEEN $start_ns AND $end_ns;
