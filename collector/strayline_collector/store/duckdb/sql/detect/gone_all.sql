-- The judgements that go: all of a detector's.
SELECT rowid AS place, kind, environment, broker, vhost, queue, message, event_ns FROM judgements WHERE detector = $detector;
