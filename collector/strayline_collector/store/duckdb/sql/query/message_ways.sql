-- The range's messages from the minutes that are rolled up and right, and from facts beside those or
-- changed since (`messages_now`, of the minutes `again` all), less the replies of RPCs: what comes to an address at whoever named it.
-- An address that others read from is a queue like any other. A broker goes by its newest name.
WITH rows AS (
    SELECT minute, told, producer, consumer, exchange_broker, exchange_vhost, exchange, broker, vhost, queue, address, bucket, calls, messages, errors
    FROM message_minutes WHERE minute BETWEEN $first_minute AND $last_minute AND minute NOT IN (SELECT minute FROM again)
    UNION ALL BY NAME
    SELECT * FROM messages_now
), reply_names AS (
    SELECT DISTINCT reply_to AS name, service FROM publish_facts WHERE reply_to IS NOT NULL AND NOT starts_with(reply_to, 'amq.rabbitmq.reply-to')
), passed_on AS (
    SELECT DISTINCT queue AS name FROM rows
    WHERE told = 'handled' AND queue IN (SELECT name FROM reply_names) AND (queue, consumer) NOT IN (SELECT (name, service) FROM reply_names)
)
SELECT r.minute, r.told, r.producer, r.consumer, coalesce(e.broker, r.exchange_broker) AS exchange_broker, r.exchange_vhost, r.exchange,
    coalesce(b.broker, r.broker) AS broker, r.vhost, r.queue, r.bucket, r.calls, r.messages, r.errors
FROM rows r
LEFT JOIN broker_names e ON e.address = r.exchange_broker
LEFT JOIN broker_names b ON b.address = r.broker
WHERE r.address IS NULL OR CASE WHEN r.told = 'published'
    THEN r.address NOT IN (SELECT name FROM reply_names) OR r.address IN (SELECT name FROM passed_on)
    ELSE (r.address, r.consumer) NOT IN (SELECT (name, service) FROM reply_names) END;
