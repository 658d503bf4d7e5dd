-- CONSUMER spans (and CLIENT `receive`, a basic.get) of this load → deliveries, as each says of
-- itself. Which publish it belongs to is settled by resolve.sql, now or when that arrives.
INSERT INTO delivery_facts BY NAME
WITH picked AS (
    SELECT s.*,
        json_extract_string(attributes, [
            '$."strayline.stamp"', '$."strayline.broker"', '$."strayline.vhost"',                      -- 1 2 3
            '$."strayline.exchange"', '$."messaging.destination.name"', '$."messaging.destination"',   -- 4 5 6
            '$."messaging.rabbitmq.destination.routing_key"', '$."messaging.rabbitmq.routing_key"',    -- 7 8
            '$."strayline.queue"', '$."strayline.epoch"', '$."strayline.channel"',                     -- 9 10 11
            '$."strayline.consumer_tag"', '$."messaging.rabbitmq.message.delivery_tag"',               -- 12 13
            '$."strayline.redelivered"', '$."strayline.delivery_count"', '$."strayline.death"',        -- 14 15 16
            '$."strayline.priority"', '$."messaging.message.id"', '$."messaging.message_id"',          -- 17 18 19
            '$."messaging.message.conversation_id"', '$."messaging.conversation_id"',                  -- 20 21
            '$."strayline.received_unix_nano"', '$."strayline.settlement"',                            -- 22 23
            '$."strayline.settled_unix_nano"', '$."messaging.url"',                                    -- 24 25
            '$."celery.action"', '$."celery.delivery_info"',                                           -- 26 27
            '$."messaging.destination_publish.name"', '$."spring.rabbit.listener.id"'                  -- 28 29
        ]) AS a,
        json_extract_string(links, ['$[0].trace_id', '$[0].span_id', '$[1].span_id']) AS l,
        coalesce(scope_name = 'io.opentelemetry.rabbitmq-2.7', false) AS agent, coalesce(scope_name = 'io.opentelemetry.spring-rabbit-1.0', false) AS spring
    FROM told s
    WHERE s.messaging_system = 'rabbitmq'
      AND s.messaging_operation IN ('process', 'receive') AND s.kind IN (3, 5)
      -- .NET's client tells that it asked an empty queue
      AND (s.attributes->>'$."messaging.operation.name"') IS DISTINCT FROM 'fetch (empty)'
      -- the handling of a batch: its deliveries are told one by one elsewhere
      AND (s.attributes->>'$."strayline.batch"') IS NULL
    QUALIFY row_number() OVER (PARTITION BY s.trace_id, s.span_id ORDER BY s.end_ns, s.name) = 1
), named AS (
    SELECT p.*,
        -- Celery's contrib instrumentation by itself says where a task came by as Python's text of a dict
        a[26] IS NOT NULL AND a[4] IS NULL AS of_task,
        CASE WHEN of_task THEN coalesce(nullif(regexp_extract(a[27], '''routing_key'': ''([^'']*)''', 1), ''), a[6])
             -- pika's names the key where the exchange is the default one; only a queue is called so
             -- the Java agent leaves out the empty key, of a basicGet every key, and of a Spring listener says it as destination
             WHEN spring THEN coalesce(a[5], '')
             ELSE coalesce(a[7], a[8], CASE WHEN starts_with(a[6], 'amq.gen-') THEN a[6] WHEN agent AND messaging_operation = 'process' THEN '' END) END AS key_name,
        -- .NET's client and the Java agent's name the exchange where others name the queue
        scope_name = 'RabbitMQ.Client.Subscriber' OR agent AS of_exchange,
        CASE WHEN of_task THEN regexp_extract(a[27], '''exchange'': ''([^'']*)''', 1)
             WHEN starts_with(a[6], 'amq.gen-') THEN '' ELSE coalesce(CASE WHEN of_exchange THEN a[5] END, a[28], a[6]) END AS told_exchange,
        CASE WHEN told_exchange NOT IN ('amq.default', '<default>', '(default)') THEN told_exchange
             WHEN told_exchange IS NOT NULL THEN '' END AS exchange_name,
        -- the destination is surely the queue where the exchange is told beside it, and in MassTransit's and Spring's spans
        CASE WHEN a[28] IS NOT NULL OR a[29] IS NOT NULL OR scope_name = 'MassTransit' THEN a[5] END AS queue_name,
        CASE WHEN length(a[1]) <= 128 AND regexp_full_match(a[1],
            '1\.[0-9a-f]{16}\.[1-9][0-9]{0,17}\.[1-9][0-9]{0,17}\.[0-9a-f]{4}(\.[0-9a-f]{8}\.[1-9][0-9]{0,17})?')
            THEN a[1] END AS stamp,
        -- of a batch's several links none names *the* publish
        l[1] IS NOT NULL AND l[3] IS NULL AS linked,
        -- amqplib's instrumentation waits a minute for the settlement, then ends the span as an error;
        -- the handler goes on
        starts_with(coalesce(status_message, ''), 'instrumentation timeout ') AS gave_up
    FROM picked p
)
SELECT
    $batch AS batch, $batch AS first_batch,
    CASE WHEN a[9] IS NOT NULL OR stamp IS NOT NULL THEN 'shim' ELSE 'spans' END AS source,
    environment,
    coalesce(a[2], server_address || coalesce(':' || server_port, '')) AS broker,
    -- a URL without a path means the vhost `/`
    coalesce(a[3], url_decode(nullif(regexp_extract(a[25], '^amqps?://[^/?]*/([^?]+)', 1), '')),
        CASE WHEN regexp_matches(a[25], '^amqps?://[^/?]+/?([?]|$)') THEN '/' END) AS vhost,
    coalesce(a[9], queue_name) AS queue,
    coalesce(a[4], exchange_name) AS exchange,
    coalesce(key_name, CASE WHEN a[4] IS NOT NULL THEN '' END) AS routing_key,
    service, process AS instance, host, a[10] AS epoch,
    TRY_CAST(a[11] AS BIGINT) AS channel, a[12] AS consumer_tag, TRY_CAST(a[13] AS BIGINT) AS delivery_tag,
    coalesce(TRY_CAST(a[14] AS BOOLEAN), CASE WHEN of_task THEN TRY_CAST(nullif(regexp_extract(a[27], '''redelivered'': (True|False)', 1), '') AS BOOLEAN) END) AS redelivered, TRY_CAST(a[15] AS BIGINT) AS delivery_count,
    CASE WHEN json_type(attributes, '$."strayline.death"') = 'ARRAY' THEN a[16] END AS death,
    stamp,
    -- `h`: first 4 hex of SHA-256 over the length-prefixed exchange and key. A dead-lettered
    -- message arrives by another exchange or key, which x-death explains.
    CASE
        WHEN stamp IS NULL THEN NULL
        WHEN a[16] IS NOT NULL OR a[4] IS NULL THEN true
        ELSE left(sha256(strlen(a[4]) || ':' || a[4] || strlen(coalesce(key_name, '')) || ':' || coalesce(key_name, '')), 4)
             = string_split(stamp, '.')[5]
    END AS stamp_ok,
    TRY_CAST(a[17] AS INTEGER) AS priority,
    CASE WHEN NOT of_task THEN nullif(coalesce(a[18], a[19]), '') END AS message_id,
    nullif(coalesce(a[20], a[21]), '') AS correlation_id,
    trace_id, span_id,
    -- believe the link where there are both
    CASE WHEN linked THEN l[1] WHEN parent_span_id IS NOT NULL THEN trace_id END AS context_trace_id,
    CASE WHEN linked THEN l[2] ELSE parent_span_id END AS context_span_id,
    -- what names the queue when no attribute does: `queue process` of old, `{exchange}:{key}:{queue}` of now
    CASE
        WHEN a[9] IS NOT NULL OR queue_name IS NOT NULL THEN NULL
        WHEN agent AND regexp_matches(name, '.+ (process|receive|deliver)$')
            THEN 'queue:' || regexp_replace(name, ' (process|receive|deliver)$', '')
        WHEN spring THEN 'key:' || key_name
        -- FastStream's and Ruby's names say exchange and key
        WHEN of_task OR of_exchange OR told_exchange IS NOT NULL AND (starts_with(name, told_exchange || '.' || key_name || ' ')
            OR told_exchange = '' AND starts_with(name, 'default.' || key_name || ' '))
            THEN CASE WHEN exchange_name = '' AND starts_with(key_name, 'amq.rabbitmq.reply-to') THEN 'name:amq.rabbitmq.reply-to'
                 WHEN exchange_name = '' THEN 'destination:' || key_name END
        WHEN a[5] IS NOT NULL AND (contains(a[5], ':') OR starts_with(name, 'process ') OR starts_with(name, 'consume ') OR starts_with(name, 'receive '))
            THEN 'destination:' || a[5]
        WHEN regexp_matches(name, '.+ (process|receive|consume|deliver)$')
            THEN 'name:' || regexp_replace(name, ' (process|receive|consume|deliver)$', '')
        WHEN a[5] IS NOT NULL THEN 'destination:' || a[5]
    END AS name_hint,
    coalesce(sane_ns(a[22]), CASE WHEN kind = 3 THEN end_ns ELSE start_ns END) AS received_ns,
    CASE WHEN kind = 3 THEN end_ns ELSE start_ns END AS handled_start_ns,
    CASE WHEN kind = 5 AND NOT gave_up THEN end_ns END AS handled_end_ns,
    status_code = 2 AND NOT gave_up AS failed,
    coalesce(nullif(a[23], 'none'), CASE
        -- amqplib's instrumentation says it in the status only, and nothing of a requeue that was left to
        -- the library, which then asks for one
        WHEN regexp_matches(status_message, '^nack(All)? called on message( with requeue|$)') THEN 'nack_requeue'
        WHEN regexp_matches(status_message, '^nack(All)? called on message without requeue') THEN 'nack_drop'
        WHEN regexp_matches(status_message, '^reject called on message( with requeue|$)') THEN 'reject_requeue'
        WHEN regexp_matches(status_message, '^reject called on message without requeue') THEN 'reject_drop'
    END) AS settlement,
    coalesce(sane_ns(a[24]),
        CASE WHEN regexp_matches(status_message, '^(nack|nackAll|reject) called on message') THEN end_ns END) AS settled_ns
FROM named n
WHERE NOT EXISTS (
    SELECT 1 FROM delivery_facts f WHERE f.first_batch >= $since AND f.trace_id = n.trace_id AND f.span_id = n.span_id
);
