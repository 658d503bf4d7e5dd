-- Every distinct way of publishing whose success was told, with its times.
SELECT environment, broker, vhost, exchange, routing_key, routing_headers, first_ns, last_ns
FROM sent_ways WHERE told AND NOT starts_with(routing_key, 'amq.');
