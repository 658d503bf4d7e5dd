-- The whole store, in one place. Common SQL subset only: no primary keys, enums, sequences.
-- Facts are appended; `batch` is the load that wrote (or last changed) a row, so that
-- "what is new since batch N" is a range scan.

-- One row per key: schema_version, created_at, settled_batch.
CREATE TABLE meta (key VARCHAR NOT NULL, value VARCHAR);

-- How far the journal has been loaded. Written in the transaction that loads, so that a
-- replay after a crash neither loses nor repeats a request.
CREATE TABLE loaded (batch BIGINT NOT NULL, segment BIGINT NOT NULL, byte_offset BIGINT NOT NULL, loaded_ns BIGINT NOT NULL);

-- A time that somebody told in an attribute; null for what no clock shows before the year 2116.
CREATE MACRO sane_ns(told) AS CASE WHEN TRY_CAST(told AS BIGINT) BETWEEN 0 AND 4611686018427387903 THEN TRY_CAST(told AS BIGINT) END;

CREATE TABLE spans (
    batch BIGINT NOT NULL,
    received_ns BIGINT NOT NULL,
    trace_id VARCHAR NOT NULL,           -- 32 lower-case hex
    span_id VARCHAR NOT NULL,            -- 16 lower-case hex
    parent_span_id VARCHAR,
    trace_state VARCHAR,
    flags UINTEGER,
    name VARCHAR NOT NULL,
    kind UTINYINT NOT NULL,              -- OTLP: 0 unspecified 1 internal 2 server 3 client 4 producer 5 consumer
    start_ns BIGINT NOT NULL,            -- unix nanoseconds
    end_ns BIGINT NOT NULL,
    status_code UTINYINT NOT NULL,       -- 0 unset 1 ok 2 error
    status_message VARCHAR,
    service VARCHAR NOT NULL,
    environment VARCHAR,
    process VARCHAR,                     -- one running process: instance id, else host and pid; null when neither is known
    host VARCHAR,                        -- whose clock it was: host.id, host.name or container.id
    scope_name VARCHAR,
    -- promoted attributes
    http_method VARCHAR, http_status_code SMALLINT, http_route VARCHAR, url_path VARCHAR,
    rpc_system VARCHAR, rpc_service VARCHAR, rpc_method VARCHAR, rpc_status VARCHAR,
    messaging_system VARCHAR,
    messaging_operation VARCHAR,         -- publish | process | receive | settle, from old and new names and the kind
    db_system VARCHAR, server_address VARCHAR, server_port INTEGER, peer_service VARCHAR,
    -- JSON text
    attributes VARCHAR USING COMPRESSION zstd,
    events VARCHAR USING COMPRESSION zstd,
    links VARCHAR USING COMPRESSION zstd,
    resource VARCHAR USING COMPRESSION zstd,
    scope VARCHAR USING COMPRESSION zstd,
    dropped VARCHAR                      -- JSON of the dropped_*_count fields that are not 0
);

-- A retried export brings a span twice: this is each one once, less what Strayline says to itself.
CREATE VIEW distinct_spans AS
SELECT * FROM spans
WHERE name NOT IN ('strayline.topology', 'strayline.census')
QUALIFY row_number() OVER (PARTITION BY trace_id, span_id, kind ORDER BY batch, end_ns, name) = 1;

-- Links as rows, so that "who links here" is no search through JSON.
CREATE TABLE span_links (
    batch BIGINT NOT NULL, trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL,
    to_trace_id VARCHAR NOT NULL, to_span_id VARCHAR NOT NULL
);

-- Every process heard, for the watermark.
CREATE TABLE processes (
    process VARCHAR NOT NULL, service VARCHAR NOT NULL, host VARCHAR,
    first_event_ns BIGINT NOT NULL, last_event_ns BIGINT NOT NULL, heard_ns BIGINT NOT NULL
);

CREATE TABLE publish_facts (
    batch BIGINT NOT NULL,
    message VARCHAR NOT NULL,            -- stamp `epoch.channel.n`, else `trace_id-span_id`
    source VARCHAR NOT NULL,             -- shim | spans
    environment VARCHAR, broker VARCHAR, vhost VARCHAR,
    exchange VARCHAR, routing_key VARCHAR, type VARCHAR,
    service VARCHAR NOT NULL, instance VARCHAR, host VARCHAR,
    epoch VARCHAR, channel BIGINT, n BIGINT, ordering_key VARCHAR, k BIGINT, stamp_ok BOOLEAN,
    message_id VARCHAR, correlation_id VARCHAR, reply_to VARCHAR,
    priority INTEGER, expiration_ms BIGINT, delay_ms BIGINT, mandatory BOOLEAN,
    body_hash VARCHAR, routing_headers VARCHAR, outcome VARCHAR,
    trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL, parent_span_id VARCHAR,
    operation VARCHAR, operation_span_id VARCHAR,   -- the local root span of the publish
    start_ns BIGINT NOT NULL, end_ns BIGINT NOT NULL
);

CREATE TABLE delivery_facts (
    batch BIGINT NOT NULL,
    message VARCHAR,                     -- null while nothing names the publish
    source VARCHAR NOT NULL,
    environment VARCHAR, broker VARCHAR, vhost VARCHAR,
    queue VARCHAR, exchange VARCHAR, routing_key VARCHAR,
    service VARCHAR NOT NULL, instance VARCHAR, host VARCHAR,
    epoch VARCHAR,                       -- the consumer process's own
    channel BIGINT, consumer_tag VARCHAR, delivery_tag BIGINT,
    redelivered BOOLEAN, delivery_count BIGINT, death VARCHAR,   -- death: JSON array of strings
    stamp VARCHAR, stamp_ok BOOLEAN, priority INTEGER, message_id VARCHAR, correlation_id VARCHAR,
    trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL,
    context_trace_id VARCHAR, context_span_id VARCHAR,           -- the publish it names: link, else parent
    publish_trace_id VARCHAR, publish_span_id VARCHAR,           -- the publish it resolved to
    name_hint VARCHAR,                   -- what the span's name or destination says of the queue
    received_ns BIGINT NOT NULL, handled_start_ns BIGINT, handled_end_ns BIGINT,
    failed BOOLEAN, settlement VARCHAR, settled_ns BIGINT
);

-- Settlements that happened after the handling span had ended, until their delivery is known.
CREATE TABLE settlement_facts (
    batch BIGINT NOT NULL, trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL,   -- of the delivery, or its epoch and `channel.tag`
    settlement VARCHAR NOT NULL, settled_ns BIGINT NOT NULL
);

-- One broker, two names: foreign spans know its address, ours the name of its cluster too.
CREATE TABLE broker_names (address VARCHAR NOT NULL, broker VARCHAR NOT NULL);

-- What somebody said about the topology, one row a thing and a sight.
CREATE TABLE topology_facts (
    batch BIGINT NOT NULL,
    source VARCHAR NOT NULL,             -- `shim` or `document`
    document VARCHAR,                    -- which document; replaced as a whole
    role VARCHAR NOT NULL,               -- actual | intended
    complete BOOLEAN NOT NULL,           -- absence from this source means absence
    environment VARCHAR, broker VARCHAR, vhost VARCHAR,
    service VARCHAR, instance VARCHAR, epoch VARCHAR,
    action VARCHAR NOT NULL,             -- declare | delete | bind | unbind | check (passive)
    kind VARCHAR NOT NULL,               -- exchange | queue | binding
    name VARCHAR,                        -- exchange or queue
    type VARCHAR, durable BOOLEAN, auto_delete BOOLEAN, exclusive BOOLEAN, arguments VARCHAR,
    source_name VARCHAR, destination VARCHAR, destination_kind VARCHAR, routing_key VARCHAR,
    seen_ns BIGINT NOT NULL, until_ns BIGINT   -- a document that was replaced held until then
);

CREATE TABLE census (
    batch BIGINT NOT NULL, service VARCHAR NOT NULL, instance VARCHAR, epoch VARCHAR,
    at_ns BIGINT NOT NULL, census VARCHAR NOT NULL   -- JSON, see docs/messages.md
);

-- What each detector said of single messages; replaced key by key. Read through `verdicts`.
CREATE TABLE judgements (
    detector VARCHAR NOT NULL, key VARCHAR NOT NULL,
    kind VARCHAR NOT NULL, verdict VARCHAR, cause VARCHAR,
    severity VARCHAR NOT NULL, confidence VARCHAR NOT NULL,
    role VARCHAR NOT NULL,               -- late, strayed, missing … or context: overtaker, original
    message VARCHAR NOT NULL, trace_id VARCHAR, producer_span_id VARCHAR, message_id VARCHAR,
    environment VARCHAR, broker VARCHAR, vhost VARCHAR, queue VARCHAR, exchange VARCHAR, routing_key VARCHAR,
    producer_service VARCHAR, consumer_service VARCHAR,
    evidence VARCHAR NOT NULL,           -- JSON: late_by, sequence, extent, expected_queues, actual_queues, deliveries …
    event_ns BIGINT NOT NULL,            -- when the promise was broken
    facts_until_ns BIGINT NOT NULL,      -- event time of the last fact it rests on
    batch BIGINT NOT NULL                -- newest load it rests on
);

CREATE TABLE findings (
    id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL, verdict VARCHAR, cause VARCHAR,
    severity VARCHAR NOT NULL, confidence VARCHAR NOT NULL, status VARCHAR NOT NULL,
    environment VARCHAR, broker VARCHAR, vhost VARCHAR, queue VARCHAR, exchange VARCHAR, routing_key VARCHAR,
    producer_service VARCHAR, consumer_service VARCHAR,
    title VARCHAR NOT NULL, explanation VARCHAR NOT NULL, remedy VARCHAR NOT NULL,
    first_seen_ns BIGINT NOT NULL, last_seen_ns BIGINT NOT NULL, updated_ns BIGINT NOT NULL,
    count BIGINT NOT NULL, episodes VARCHAR NOT NULL,            -- JSON
    triage VARCHAR NOT NULL, muted_until_ns BIGINT, note VARCHAR
);

-- A message is in one finding per kind and queue: of several verdicts the strongest stands
-- (misrouted: contract before stale_binding, refused, outlier). Context rows go with theirs.
CREATE VIEW verdicts AS
SELECT * EXCLUDE (strength) FROM (
    SELECT *, CASE verdict WHEN 'contract' THEN 0 WHEN 'stale_binding' THEN 1 WHEN 'refused' THEN 2 WHEN 'outlier' THEN 3 ELSE 0 END AS strength
    FROM judgements
)
QUALIFY strength = min(strength) OVER (PARTITION BY kind, environment, broker, vhost, queue, message);

-- The messages of each finding that stands, context rows among them: a finding is found again in
-- the verdicts by everything that makes it the same finding.
CREATE VIEW finding_verdicts AS
SELECT f.id AS finding_id, f.severity AS finding_severity, v.*
FROM findings f
JOIN verdicts v ON v.kind = f.kind AND v.verdict IS NOT DISTINCT FROM f.verdict AND v.cause IS NOT DISTINCT FROM f.cause
    AND v.environment IS NOT DISTINCT FROM f.environment AND v.broker IS NOT DISTINCT FROM f.broker AND v.vhost IS NOT DISTINCT FROM f.vhost
    AND v.queue IS NOT DISTINCT FROM f.queue AND v.exchange IS NOT DISTINCT FROM f.exchange AND v.routing_key IS NOT DISTINCT FROM f.routing_key
    AND v.producer_service IS NOT DISTINCT FROM f.producer_service
WHERE f.status <> 'retracted';

CREATE VIEW publishes AS
SELECT message, source, environment, broker, vhost, exchange, routing_key, type, service, instance, epoch, channel, n,
    ordering_key, k, message_id, correlation_id, reply_to, priority, expiration_ms, mandatory, outcome,
    trace_id, span_id, operation, start_ns AS start, end_ns AS "end"
FROM publish_facts;

CREATE VIEW deliveries AS
SELECT message, source, environment, broker, vhost, queue, exchange, routing_key, service, instance, channel, consumer_tag,
    delivery_tag, redelivered, delivery_count, death, trace_id, span_id, received_ns AS received,
    handled_start_ns AS handled_start, handled_end_ns AS handled_end, failed, settlement, settled_ns AS settled
FROM delivery_facts;

CREATE VIEW settlements AS
SELECT message, queue, service, instance, channel, delivery_tag, trace_id, span_id, settlement, settled_ns AS settled
FROM delivery_facts WHERE settlement IS NOT NULL;

-- Each thing that somebody said exists, with the time it surely held (first to last sight) and
-- possibly held (to the neighbouring sights; null: open). What a shim declared surely holds
-- while its process is heard, unless something deletes it.
CREATE VIEW topology AS
WITH sights AS (
    SELECT f.*, coalesce(f.name, f.source_name) AS subject,
        CASE WHEN f.source = 'shim' THEN p.last_event_ns ELSE f.until_ns END AS heard_until
    FROM topology_facts f
    LEFT JOIN (SELECT process, max(last_event_ns) AS last_event_ns FROM processes GROUP BY process) p
        ON p.process = f.instance AND f.source = 'shim'
), gone AS (
    SELECT broker, vhost, kind, coalesce(name, source_name) AS subject, destination, destination_kind, routing_key,
        min(seen_ns) AS gone_ns
    FROM topology_facts WHERE action IN ('delete', 'unbind') GROUP BY ALL
)
SELECT s.role, s.kind, s.source, s.complete, s.environment, s.broker, s.vhost, s.service, s.instance, s.epoch,
    s.name, any_value(s.type) AS type, any_value(s.durable) AS durable, s.arguments,
    s.source_name, s.destination, s.destination_kind, s.routing_key,
    min(s.seen_ns) AS surely_from,
    greatest(max(s.seen_ns), least(max(coalesce(s.heard_until, s.seen_ns)), coalesce(min(g.gone_ns), max(coalesce(s.heard_until, s.seen_ns))))) AS surely_to,
    NULL::BIGINT AS possibly_from,
    coalesce(min(g.gone_ns), max(s.until_ns)) AS possibly_to
FROM sights s
LEFT JOIN gone g ON g.broker IS NOT DISTINCT FROM s.broker AND g.vhost IS NOT DISTINCT FROM s.vhost
    AND g.kind = s.kind AND g.subject = s.subject AND g.destination IS NOT DISTINCT FROM s.destination
    AND g.destination_kind IS NOT DISTINCT FROM s.destination_kind AND g.routing_key IS NOT DISTINCT FROM s.routing_key
    AND g.gone_ns >= s.seen_ns
WHERE s.action IN ('declare', 'bind')
GROUP BY s.role, s.kind, s.source, s.complete, s.environment, s.broker, s.vhost, s.service, s.instance, s.epoch,
    s.name, s.source_name, s.destination, s.destination_kind, s.routing_key, s.arguments, s.subject;
