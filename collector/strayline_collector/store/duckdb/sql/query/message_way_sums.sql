-- Of `ways`, by way and duration.
SELECT told, producer, consumer, exchange_broker, exchange_vhost, exchange, broker, vhost, queue, bucket,
    sum(calls)::BIGINT AS calls, sum(messages)::BIGINT AS messages, sum(errors)::BIGINT AS errors
FROM ways GROUP BY ALL ORDER BY ALL;
