-- A file of schema version 11 becomes one of version 12: where queues are whose readers do not say it. What is
-- there already is placed once something new is told of its queue.
ALTER TABLE publish_facts ADD COLUMN broker_inferred BOOLEAN;
ALTER TABLE publish_facts ADD COLUMN vhost_inferred BOOLEAN;
ALTER TABLE delivery_facts ADD COLUMN broker_inferred BOOLEAN;
ALTER TABLE delivery_facts ADD COLUMN vhost_inferred BOOLEAN;
CREATE TABLE queue_places (environment VARCHAR, broker VARCHAR NOT NULL, vhost VARCHAR, queue VARCHAR NOT NULL);
INSERT INTO queue_places
SELECT environment, broker, vhost, queue FROM delivery_facts WHERE broker IS NOT NULL AND queue IS NOT NULL AND NOT regexp_matches(queue, '^(amq\.|\*)')
UNION
SELECT environment, broker, vhost, coalesce(name, destination) FROM topology_facts
WHERE broker IS NOT NULL AND (kind = 'queue' AND action IN ('declare', 'check') OR kind = 'binding' AND action = 'bind' AND coalesce(destination_kind, 'queue') = 'queue')
    AND NOT regexp_matches(coalesce(name, destination), '^(amq\.|\*)');
CREATE TABLE queue_readers (environment VARCHAR, service VARCHAR NOT NULL, queue VARCHAR NOT NULL, broker VARCHAR NOT NULL);
UPDATE meta SET value = '12' WHERE key = 'schema_version';
