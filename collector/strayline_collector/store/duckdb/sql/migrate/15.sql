-- A file of schema version 14 becomes one of version 15: how full queues are, as RabbitMQ says.
CREATE TABLE level_facts (
    batch BIGINT,                        -- the load at which it ended; null while it holds
    document VARCHAR NOT NULL,           -- which polled source
    broker VARCHAR, vhost VARCHAR NOT NULL, queue VARCHAR NOT NULL,
    state VARCHAR NOT NULL,              -- empty | handed (all to consumers) | waiting (nothing was handed out)
    from_ns BIGINT NOT NULL, to_ns BIGINT,   -- first and last look
    ready BIGINT NOT NULL, unacknowledged BIGINT NOT NULL, consumers BIGINT NOT NULL   -- at the last
);
-- How full queues were. What was published until `about` was in the queue when it was looked at last, or had
-- left it: RabbitMQ counts every 5 s, shows what it counted some seconds later, and clocks differ.
CREATE VIEW queue_levels AS
SELECT broker, vhost, queue, state, from_ns AS seen_from, last_ns AS seen_to, last_ns - 15000000000 AS about, ready, unacknowledged, consumers
FROM (
    SELECT l.*, coalesce(l.to_ns, greatest(l.from_ns, c.checked_ns)) AS last_ns
    FROM level_facts l LEFT JOIN topology_sources c ON c.document = l.document
);

UPDATE meta SET value = '15' WHERE key = 'schema_version';
