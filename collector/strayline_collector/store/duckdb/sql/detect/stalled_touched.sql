-- Keys of `stalled`: one queue. Time alone touches every one: nothing may have come out of it for long enough now,
-- or what had still to come when it was judged, the end of a stall, has happened.
SELECT DISTINCT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue) AS key
FROM came_ways
WHERE queue IS NOT NULL AND NOT regexp_matches(queue, '^(amq\.|\*)');
