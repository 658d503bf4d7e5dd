-- Keys of `stalled`: one queue. Time alone touches every one: nothing may have come out of it for long enough now,
-- or what had still to come when it was judged, the end of a stall, has happened.
SELECT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue) AS key
FROM (SELECT DISTINCT environment, broker, vhost, queue FROM delivery_facts)
WHERE queue IS NOT NULL AND NOT regexp_matches(queue, '^(amq\.|\*)');
