-- Names that a client or broker made up stand as `*`, so that each new temporary queue does not
-- found an incident of its own.
INSERT INTO judgements BY NAME
SELECT $detector AS detector, * REPLACE (
    CASE WHEN regexp_matches(queue, '^amq\.(gen-|rabbitmq\.reply-to)') THEN '*'
         ELSE regexp_replace(queue, '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b', '*', 'g') END AS queue,
    CASE WHEN regexp_matches(exchange, '^amq\.gen-') THEN '*'
         ELSE regexp_replace(exchange, '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b', '*', 'g') END AS exchange,
    CASE WHEN regexp_matches(routing_key, '^amq\.(gen-|rabbitmq\.reply-to)') THEN '*'
         ELSE regexp_replace(routing_key, '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b', '*', 'g') END AS routing_key
)
FROM judged;
