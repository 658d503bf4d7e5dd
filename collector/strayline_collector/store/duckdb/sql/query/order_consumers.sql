SELECT DISTINCT service FROM delivery_facts
WHERE queue = $queue AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost) AND received_ns BETWEEN $start_ns AND $end_ns
ORDER BY service;
