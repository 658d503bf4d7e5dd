-- Which kinds of facts this load brings: a step without any is left out.
SELECT
    count(links) > 0 AS links,
    count(*) FILTER (WHERE kind = 4 AND messaging_operation = 'publish') > 0 AS publishes,
    count(*) FILTER (WHERE kind = 3 AND messaging_operation IS NULL AND links IS NOT NULL) > 0 AS returns,
    count(*) FILTER (WHERE kind IN (3, 5) AND messaging_operation IN ('process', 'receive')) > 0 AS deliveries,
    count(*) FILTER (WHERE kind = 5 AND scope_name IN ('io.opentelemetry.rabbitmq-2.7', 'io.opentelemetry.spring-rabbit-1.0')) > 0 AS listeners,
    count(*) FILTER (WHERE messaging_operation = 'settle') > 0 AS settlements,
    count(*) FILTER (WHERE name = 'strayline.topology') > 0 AS topology,
    count(*) FILTER (WHERE name = 'strayline.census') > 0 AS census,
    count(*) FILTER (WHERE server_port IS NOT NULL AND contains(attributes, '"strayline.broker"')
        AND server_address || ':' || server_port NOT IN (SELECT address FROM broker_names)) > 0 AS brokers,
    count(*) FILTER (WHERE kind IN (3, 4, 5) AND (contains(attributes, 'conversation_id') OR contains(attributes, '"amq.gen-'))) > 0 AS replies
FROM told;
