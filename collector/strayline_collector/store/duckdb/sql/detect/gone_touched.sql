-- The judgements that go: those of the keys that are judged again.
SELECT rowid AS place, kind, environment, broker, vhost, queue, message, event_ns FROM judgements WHERE detector = $detector AND key IN (SELECT key FROM touched);
