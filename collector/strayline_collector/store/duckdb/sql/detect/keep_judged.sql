-- Names that a client or broker made up stand as `*`, so that each new temporary queue does not
-- found an incident of its own.
INSERT INTO judgements BY NAME
WITH typed AS (   -- a column that is null throughout arrives without its type
    SELECT key, kind, verdict::VARCHAR AS verdict, cause::VARCHAR AS cause, severity, confidence, role, message,
        trace_id::VARCHAR AS trace_id, producer_span_id::VARCHAR AS producer_span_id, message_id::VARCHAR AS message_id,
        environment::VARCHAR AS environment, broker::VARCHAR AS broker, vhost::VARCHAR AS vhost, queue::VARCHAR AS queue,
        exchange::VARCHAR AS exchange, routing_key::VARCHAR AS routing_key, producer_service::VARCHAR AS producer_service,
        consumer_service::VARCHAR AS consumer_service, evidence::VARCHAR AS evidence, event_ns, facts_until_ns, batch
    FROM judged
)
SELECT $detector AS detector, * REPLACE (
    CASE WHEN regexp_matches(queue, '^amq\.(gen-|rabbitmq\.reply-to)') THEN '*'
         ELSE regexp_replace(queue, '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b', '*', 'g') END AS queue,
    CASE WHEN regexp_matches(exchange, '^amq\.gen-') THEN '*'
         ELSE regexp_replace(exchange, '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b', '*', 'g') END AS exchange,
    CASE WHEN regexp_matches(routing_key, '^amq\.(gen-|rabbitmq\.reply-to)') THEN '*'
         ELSE regexp_replace(routing_key, '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b', '*', 'g') END AS routing_key
)
FROM typed
RETURNING kind, environment, broker, vhost, queue, message, event_ns;
