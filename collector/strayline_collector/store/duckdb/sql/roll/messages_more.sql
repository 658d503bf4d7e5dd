-- What the minutes `again` and those that are new have more than is rolled up of them.
SELECT minute, told, producer, consumer, exchange_broker, exchange_vhost, exchange, broker, vhost, queue, address, bucket,
    sum(calls)::BIGINT AS calls, sum(messages)::BIGINT AS messages, sum(errors)::BIGINT AS errors
FROM (
    SELECT * FROM messages_now
    UNION ALL BY NAME
    SELECT * EXCLUDE (batch) REPLACE (-calls AS calls, -messages AS messages, -errors AS errors) FROM message_minutes WHERE minute IN (SELECT minute FROM again)
)
GROUP BY ALL HAVING sum(calls) <> 0 OR sum(messages) <> 0 OR sum(errors) <> 0;
