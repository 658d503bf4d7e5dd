-- Joins deliveries to publishes, whichever came last: those new in this load, and those whose
-- publish is. A stamp is the identity; else the creation context, when a PRODUCER span bears it.
UPDATE delivery_facts AS d
SET batch = $batch,
    message = r.message,
    publish_trace_id = r.publish_trace_id, publish_span_id = r.publish_span_id,
    exchange = r.exchange,
    routing_key = coalesce(d.routing_key, r.routing_key),
    vhost = CASE WHEN d.vhost_inferred THEN coalesce(r.vhost, d.vhost) ELSE coalesce(d.vhost, r.vhost) END,
    vhost_inferred = d.vhost_inferred AND r.vhost IS NULL,
    queue = coalesce(d.queue, r.queue)
FROM (
    WITH open_deliveries AS (
        SELECT f.trace_id, f.span_id, f.stamp, f.stamp_ok, f.context_trace_id, f.context_span_id, f.name_hint, f.message_id,
            f.exchange, f.routing_key, f.batch,
            CASE WHEN f.stamp_ok THEN array_to_string(string_split(f.stamp, '.')[2:4], '.') END AS stamped
        FROM delivery_facts f
        WHERE f.first_batch >= $since AND f.publish_span_id IS NULL
    ), joined AS (
        SELECT o.trace_id, o.span_id, o.stamped, o.name_hint, o.batch,
            coalesce(o.exchange, p.exchange) AS exchange, coalesce(o.routing_key, p.routing_key) AS routing_key,
            CASE WHEN p.vhost_inferred IS DISTINCT FROM true THEN p.vhost END AS vhost, p.message, p.trace_id AS publish_trace_id, p.span_id AS publish_span_id, p.batch AS publish_batch
        FROM open_deliveries o
        LEFT JOIN publish_facts p ON p.first_batch >= $since AND p.message = o.stamped
        WHERE o.stamped IS NOT NULL
        UNION ALL
        SELECT o.trace_id, o.span_id, o.stamped, o.name_hint, o.batch,
            CASE -- by another key than it was published with a Spring listener's message came through another exchange
                 WHEN starts_with(o.name_hint, 'key:') THEN coalesce(o.exchange, CASE WHEN coalesce(o.routing_key = p.routing_key, true) THEN p.exchange END)
                 WHEN starts_with(o.name_hint, 'queue:') THEN coalesce(o.exchange, p.exchange)
                 -- contrib's aio-pika and pika call the key of the default exchange by the exchange's attribute
                 WHEN p.exchange = '' AND p.routing_key = o.exchange THEN ''
                 WHEN o.exchange IS NULL AND p.routing_key IS NULL AND p.exchange = o.routing_key THEN '' ELSE coalesce(o.exchange, p.exchange) END, coalesce(o.routing_key, p.routing_key),
            CASE WHEN p.vhost_inferred IS DISTINCT FROM true THEN p.vhost END AS vhost, p.message, p.trace_id, p.span_id, p.batch
        FROM open_deliveries o
        LEFT JOIN publish_facts p ON p.first_batch >= $since AND p.trace_id = o.context_trace_id AND p.span_id = o.context_span_id
            -- no broker changes a message's id: by another one it is somebody unseen's, who passed the context on
            AND coalesce(p.message_id = o.message_id, true)
        WHERE o.stamped IS NULL AND o.stamp_ok IS DISTINCT FROM false
    ), hinted AS (
        SELECT *, coalesce(exchange, '') AS x, coalesce(routing_key, '') AS k,
            CASE WHEN starts_with(name_hint, 'destination:') THEN substr(name_hint, 13) END AS destination,
            CASE WHEN starts_with(name_hint, 'name:') THEN substr(name_hint, 6) END AS span_name,
            CASE WHEN starts_with(name_hint, 'queue:') THEN substr(name_hint, 7) END AS told_queue
        FROM joined
        WHERE batch = $batch OR publish_batch = $batch
    ), cut AS (
        -- `{exchange}:{key}:{queue}` less its exchange
        SELECT *, CASE WHEN x <> '' AND starts_with(destination, x || ':') THEN substr(destination, length(x) + 2)
                       ELSE destination END AS rest
        FROM hinted
    )
    SELECT trace_id, span_id, coalesce(message, stamped) AS message, publish_trace_id, publish_span_id,
        exchange, routing_key, vhost,
        CASE
            WHEN told_queue IS NOT NULL THEN CASE told_queue WHEN '<generated>' THEN '*' ELSE regexp_replace(told_queue, '^(amq\.rabbitmq\.reply-to)\..*', '\1') END
            WHEN starts_with(name_hint, 'key:') THEN
                -- which of its service's queues it was, nobody tells
                CASE WHEN starts_with(k, 'amq.rabbitmq.reply-to') THEN 'amq.rabbitmq.reply-to' WHEN exchange = '' THEN k END
            WHEN span_name IS NOT NULL THEN
                -- a name that only repeats exchange or key (contrib's pika, aio-pika) names no queue,
                -- except that the default exchange's key is the queue
                CASE WHEN span_name IN ('<generated>', '(temporary)', '(anonymous)') THEN '*'
                     WHEN x = '' AND span_name = k THEN span_name
                     WHEN span_name IN (x, x || ',' || k, x || ':' || k) THEN CASE WHEN x = '' THEN nullif(k, '') END
                     WHEN starts_with(span_name, 'amq.rabbitmq.reply-to') THEN 'amq.rabbitmq.reply-to'
                     ELSE span_name END
            WHEN destination IS NOT NULL THEN
                CASE WHEN k <> '' AND starts_with(rest, k || ':') THEN substr(rest, length(k) + 2)
                     WHEN x = '' AND rest = k THEN rest
                     WHEN x <> '' AND rest = k AND destination <> rest THEN rest   -- queue named as the key
                     WHEN publish_span_id IS NOT NULL THEN rest
                     ELSE list_last(string_split(rest, ':')) END
        END AS queue
    FROM cut
) AS r
WHERE d.first_batch >= $since AND d.trace_id = r.trace_id AND d.span_id = r.span_id
  AND (d.batch = $batch OR r.publish_span_id IS NOT NULL);
