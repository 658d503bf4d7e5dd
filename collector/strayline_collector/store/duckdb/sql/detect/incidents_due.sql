-- The parts of time in which something stands otherwise since judgements of the `changed` messages came and went: where those were, and
-- where another judgement of the same message may stand now, or no longer.
SELECT event_ns // $part_ns AS part FROM changed
UNION
SELECT event_ns // $part_ns FROM judgements
WHERE hash(kind, environment, broker, vhost, queue, message) IN (SELECT hash(kind, environment, broker, vhost, queue, message) FROM changed);
