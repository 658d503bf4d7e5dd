-- When the oldest delivery that is kept was received.
SELECT coalesce(min(received_ns), 0) AS oldest_ns FROM delivery_facts;
