DELETE FROM judgements WHERE detector = $detector
RETURNING kind, environment, broker, vhost, queue, message, event_ns;
