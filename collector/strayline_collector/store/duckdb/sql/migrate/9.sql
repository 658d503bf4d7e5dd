-- A file of schema version 8 becomes one of version 9: messages are rolled up by the minute, with the next roll.
CREATE TABLE message_minutes (
    batch BIGINT NOT NULL, minute BIGINT NOT NULL, told VARCHAR NOT NULL, producer VARCHAR, consumer VARCHAR,
    exchange_broker VARCHAR, exchange_vhost VARCHAR, exchange VARCHAR, broker VARCHAR, vhost VARCHAR, queue VARCHAR, address VARCHAR,
    bucket SMALLINT, calls BIGINT NOT NULL, messages BIGINT NOT NULL, errors BIGINT NOT NULL
);
CREATE TABLE messages_rolled (batch BIGINT NOT NULL);
UPDATE meta SET value = '9' WHERE key = 'schema_version';
