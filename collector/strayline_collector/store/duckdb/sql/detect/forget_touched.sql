DELETE FROM judgements WHERE detector = $detector AND key IN (SELECT key FROM touched)
RETURNING kind, environment, broker, vhost, queue, message, event_ns;
