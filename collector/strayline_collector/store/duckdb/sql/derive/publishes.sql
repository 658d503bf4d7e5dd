-- PRODUCER spans of this load → publishes. One row a span: retries bring the same span again.
-- Names old and new are read: Strayline's own first, then conventions 1.44, then what the
-- stock JavaScript, Java and Python instrumentations of earlier years send.
INSERT INTO publish_facts BY NAME
WITH picked AS (
    SELECT s.*,
        json_extract_string(attributes, [
            '$."strayline.stamp"', '$."strayline.broker"', '$."strayline.vhost"',                      -- 1 2 3
            '$."strayline.exchange"', '$."messaging.destination.name"', '$."messaging.destination"',   -- 4 5 6
            '$."messaging.rabbitmq.destination.routing_key"', '$."messaging.rabbitmq.routing_key"',    -- 7 8
            '$."strayline.message_type"', '$."strayline.epoch"', '$."strayline.channel"',              -- 9 10 11
            '$."strayline.ordering_key"', '$."messaging.message.id"', '$."messaging.message_id"',      -- 12 13 14
            '$."messaging.message.conversation_id"', '$."messaging.conversation_id"',                  -- 15 16
            '$."strayline.reply_to"', '$."strayline.priority"', '$."strayline.expiration_ms"',         -- 17 18 19
            '$."strayline.delay_ms"', '$."strayline.mandatory"', '$."strayline.body_hash"',            -- 20 21 22
            '$."strayline.routing_headers"', '$."strayline.outcome"', '$."messaging.url"',             -- 23 24 25
            '$."messaging.message.type"', '$."celery.action"', '$."celery.exchange"',                  -- 26 27 28
            '$."spring.rabbit.template.name"'                                                          -- 29
        ]) AS a
    FROM told s
    WHERE s.kind = 4 AND s.messaging_system = 'rabbitmq'
      AND s.messaging_operation = 'publish'
    QUALIFY row_number() OVER (PARTITION BY s.trace_id, s.span_id ORDER BY s.end_ns, s.name) = 1
), named AS (
    SELECT p.*,
        CASE WHEN length(a[1]) <= 128 AND regexp_full_match(a[1],
            '1\.[0-9a-f]{16}\.[1-9][0-9]{0,17}\.[1-9][0-9]{0,17}\.[0-9a-f]{4}(\.[0-9a-f]{8}\.[1-9][0-9]{0,17})?')
            THEN string_split(a[1], '.') END AS stamp,
        coalesce(a[7], a[8]) AS key_name,
        coalesce(a[4], a[5], a[6]) AS destination,
        -- Celery's contrib instrumentation by itself: the task's id, which its retries keep, and the key
        a[27] IS NOT NULL AND a[4] IS NULL AS of_task,
        -- the Java agent and Spring say exactly the exchange, and leave out the empty key
        a[4] IS NULL AND (a[29] IS NOT NULL OR scope_name IS NOT DISTINCT FROM 'io.opentelemetry.rabbitmq-2.7') AS exact
    FROM picked p
)
SELECT
    $batch AS batch, $batch AS first_batch,
    coalesce(stamp[2] || '.' || stamp[3] || '.' || stamp[4], trace_id || '-' || span_id) AS message,
    CASE WHEN stamp IS NOT NULL OR a[4] IS NOT NULL THEN 'shim' ELSE 'spans' END AS source,
    environment,
    coalesce(a[2], server_address || coalesce(':' || server_port, '')) AS broker,
    -- a URL without a path means the vhost `/`
    coalesce(a[3], url_decode(nullif(regexp_extract(a[25], '^amqps?://[^/?]*/([^?]+)', 1), '')),
        CASE WHEN regexp_matches(a[25], '^amqps?://[^/?]+/?([?]|$)') THEN '/' END) AS vhost,
    CASE
        WHEN a[4] IS NOT NULL THEN a[4]
        WHEN of_task THEN coalesce(a[28], '')
        WHEN exact THEN coalesce(nullif(a[5], '<default>'), '')
        WHEN lower(destination) IN ('', 'amq.default', '<default>', '(default)') THEN ''
        -- conventions 1.44: `{exchange}:{routing key}`, equal parts and empty ones left out
        WHEN a[5] IS NOT NULL AND key_name = a[5] THEN ''
        WHEN a[5] IS NOT NULL AND key_name <> '' AND ends_with(a[5], ':' || key_name)
            THEN left(a[5], length(a[5]) - length(key_name) - 1)
        -- aio-pika's contrib instrumentation of old: `exchange,routing key`
        WHEN key_name IS NULL AND contains(destination, ',') THEN split_part(destination, ',', 1)
        -- pika's names the key where the exchange is the default one; only a queue is called so
        WHEN key_name IS NULL AND starts_with(destination, 'amq.gen-') THEN ''
        ELSE destination
    END AS exchange,
    coalesce(key_name, CASE
        WHEN exact THEN ''
        WHEN of_task OR starts_with(destination, 'amq.gen-') THEN destination
        WHEN contains(destination, ',') AND a[4] IS NULL THEN split_part(destination, ',', 2)
        WHEN a[4] IS NOT NULL THEN '' END) AS routing_key,
    coalesce(a[9], a[26]) AS type,
    service, process AS instance, host,
    coalesce(stamp[2], a[10]) AS epoch,
    coalesce(TRY_CAST(stamp[3] AS BIGINT), TRY_CAST(a[11] AS BIGINT)) AS channel,
    TRY_CAST(stamp[4] AS BIGINT) AS n,
    coalesce(stamp[6], a[12]) AS ordering_key,
    TRY_CAST(stamp[7] AS BIGINT) AS k,
    stamp IS NOT NULL AS stamp_ok,
    CASE WHEN NOT of_task THEN nullif(coalesce(a[13], a[14]), '') END AS message_id,
    nullif(coalesce(a[15], a[16], CASE WHEN of_task THEN a[13] END), '') AS correlation_id,
    nullif(a[17], '') AS reply_to,
    TRY_CAST(a[18] AS INTEGER) AS priority,
    -- AMQP's are whole numbers of 32 bits; others are nobody's
    CASE WHEN TRY_CAST(a[19] AS BIGINT) BETWEEN 0 AND 4294967295 THEN TRY_CAST(a[19] AS BIGINT) END AS expiration_ms,
    TRY_CAST(a[20] AS BIGINT) AS delay_ms,
    TRY_CAST(a[21] AS BOOLEAN) AS mandatory,
    a[22] AS body_hash,
    a[23] AS routing_headers,
    a[24] AS outcome,
    trace_id, span_id, parent_span_id,
    -- until its ancestors are known a publish is its own operation
    name AS operation, span_id AS operation_span_id,
    start_ns, end_ns
FROM named n
WHERE NOT EXISTS (
    SELECT 1 FROM publish_facts f WHERE f.first_batch >= $since AND f.trace_id = n.trace_id AND f.span_id = n.span_id
);
