-- The whole store, in one place. Common SQL subset only: no primary keys, enums, sequences.
-- Facts are appended; `batch` is the load that wrote (or last changed) a row, so that
-- "what is new since batch N" is a range scan.

-- One row per key: schema_version, created_at, settled_batch.
CREATE TABLE meta (key VARCHAR NOT NULL, value VARCHAR);

-- How far the journal has been loaded. Written in the transaction that loads, so that a
-- replay after a crash neither loses nor repeats a request.
CREATE TABLE loaded (
    batch BIGINT NOT NULL, segment BIGINT NOT NULL, byte_offset BIGINT NOT NULL, loaded_ns BIGINT NOT NULL,
    spans BIGINT NOT NULL, traces BIGINT NOT NULL,  -- how many there are since, Strayline's own not among them
    about_since BIGINT                   -- no load before this one brought anything about its messages; null: unknown
);

-- What is looked up is found by 8 bytes: a narrow column is read at a million rows a millisecond.
CREATE MACRO key_of(told) AS md5_number_lower(told);

-- In which loads each trace came: bounds every search for one to those loads.
CREATE TABLE trace_directory (trace_key UBIGINT NOT NULL, batch BIGINT NOT NULL);

-- In which loads something was told of a message by another name than its trace: its stamp, the
-- trace that a delivery or settlement names, or the channel and tag of a delivery.
CREATE TABLE message_directory (message_key UBIGINT NOT NULL, batch BIGINT NOT NULL);

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
    dropped VARCHAR,                     -- JSON of the dropped_*_count fields that are not 0
    shortened VARCHAR                    -- JSON of the columns that were cut short → n in long_texts
);

-- Texts too long for their rows, whole and in parts: 2,048 neighbouring rows have to fit into memory.
CREATE TABLE long_texts (
    batch BIGINT NOT NULL, n BIGINT NOT NULL, part INTEGER NOT NULL, text VARCHAR NOT NULL USING COMPRESSION zstd
);

-- Spans as senders meant them: less what Strayline says to itself. A retried export brings a span
-- twice; the second is left out when it is loaded.
CREATE VIEW distinct_spans AS
SELECT * FROM spans WHERE name NOT IN ('strayline.topology', 'strayline.census');

-- Every resource that spans have, as their rows have it, while there are at most a thousand:
-- what stands in none of them need not be looked for in the spans. NULL: there are others.
CREATE TABLE resources (batch BIGINT NOT NULL, resource VARCHAR);
CREATE MACRO many_resources() AS (SELECT count(*) > 1000 FROM resources);

-- How far loads are rolled up, one row a roll; what came later is counted where it is asked for.
CREATE TABLE rolled (batch BIGINT NOT NULL, spans BIGINT NOT NULL, loaded_ns BIGINT NOT NULL);

-- In which eighth of a power of two a duration lies: histograms add up, quantiles do not.
CREATE MACRO bucket_of(ns) AS CASE WHEN ns > 0 THEN floor(log2(ns) * 8)::SMALLINT ELSE -1::SMALLINT END;

-- Calls between services by the minute they started in. Rows add up; what turns out otherwise (the
-- server of a call whose client was known alone) is taken back by a row that subtracts.
CREATE TABLE call_minutes (
    batch BIGINT NOT NULL, minute BIGINT NOT NULL, source VARCHAR NOT NULL, target VARCHAR NOT NULL, external BOOLEAN NOT NULL,
    protocol VARCHAR NOT NULL, bucket SMALLINT NOT NULL, calls BIGINT NOT NULL, errors BIGINT NOT NULL
);

-- The same calls by the time they started at, for the parts of minutes at a range's ends.
CREATE TABLE call_starts (
    batch BIGINT NOT NULL, start_ns BIGINT NOT NULL, source VARCHAR NOT NULL, target VARCHAR NOT NULL, external BOOLEAN NOT NULL,
    protocol VARCHAR NOT NULL, bucket SMALLINT NOT NULL, calls BIGINT NOT NULL, errors BIGINT NOT NULL
);

-- The load up to which a file of before had calls by the minute alone: none, or one row while those loads last.
CREATE TABLE calls_by_minute (batch BIGINT NOT NULL);

-- Spans of each service by the minute they started in; `served`: SERVER and CONSUMER spans.
CREATE TABLE service_minutes (
    batch BIGINT NOT NULL, minute BIGINT NOT NULL, service VARCHAR NOT NULL, served BOOLEAN NOT NULL,
    bucket SMALLINT NOT NULL, spans BIGINT NOT NULL, errors BIGINT NOT NULL
);

-- Messages by the minute in which they were published or received, and by their way; rows add up as
-- those of calls do. `told`: `published` and `delivered` count, `handled` and `waited` are durations.
-- `address`: the key at the default exchange, by which replies are known when somebody asks.
CREATE TABLE message_minutes (
    batch BIGINT NOT NULL, minute BIGINT NOT NULL, told VARCHAR NOT NULL, producer VARCHAR, consumer VARCHAR,
    exchange_broker VARCHAR, exchange_vhost VARCHAR, exchange VARCHAR, broker VARCHAR, vhost VARCHAR, queue VARCHAR, address VARCHAR,
    bucket SMALLINT, calls BIGINT NOT NULL, messages BIGINT NOT NULL, errors BIGINT NOT NULL
);

-- The load up to which messages are rolled up: one row, which may lag behind `rolled`.
CREATE TABLE messages_rolled (batch BIGINT NOT NULL);

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
    batch BIGINT NOT NULL,               -- the load that last changed it
    first_batch BIGINT NOT NULL,         -- the load that brought it; never changes, so it bounds searches
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
    start_ns BIGINT NOT NULL, end_ns BIGINT NOT NULL,
    broker_inferred BOOLEAN, vhost_inferred BOOLEAN   -- told by its deliveries alone; null: false
);

CREATE TABLE delivery_facts (
    batch BIGINT NOT NULL,               -- the load that last changed it
    first_batch BIGINT NOT NULL,         -- the load that brought it; never changes, so it bounds searches
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
    failed BOOLEAN, settlement VARCHAR, settled_ns BIGINT,
    broker_inferred BOOLEAN, vhost_inferred BOOLEAN   -- told by others alone (derive/placements.sql); null: false
);

-- The Java agent's first of two spans a delivery under Spring: the client handing a message over. It names
-- the queue; the delivery is the listener's span (derive/handed_over.sql).
CREATE TABLE handover_facts (
    batch BIGINT NOT NULL,               -- the load in which the listener was known
    first_batch BIGINT NOT NULL,
    service VARCHAR NOT NULL, instance VARCHAR, trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL,
    context_trace_id VARCHAR, context_span_id VARCHAR,
    queue VARCHAR, exchange VARCHAR, routing_key VARCHAR, received_ns BIGINT NOT NULL
);

-- Settlements that happened after the handling span had ended, until their delivery is known.
CREATE TABLE settlement_facts (
    batch BIGINT NOT NULL, trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL,   -- of the delivery, or its epoch and `channel.tag`
    settlement VARCHAR NOT NULL, settled_ns BIGINT NOT NULL
);

-- Publishes that their broker gave back when their spans had ended already, by the publish's span.
CREATE TABLE return_facts (batch BIGINT NOT NULL, trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL);

-- One broker, two names: foreign spans know its address, ours the name of its cluster too.
CREATE TABLE broker_names (address VARCHAR NOT NULL, broker VARCHAR NOT NULL);

-- Which broker has which queue, as spans that name their broker and the topology tell; generated names
-- are not among them.
CREATE TABLE queue_places (environment VARCHAR, broker VARCHAR NOT NULL, vhost VARCHAR, queue VARCHAR NOT NULL);

-- From which brokers the messages came that services took from a queue without naming its broker.
CREATE TABLE queue_readers (environment VARCHAR, service VARCHAR NOT NULL, queue VARCHAR NOT NULL, broker VARCHAR NOT NULL);

-- Publishes whose ancestors are not all known: the span that each waits for.
CREATE TABLE open_operations (
    trace_id VARCHAR NOT NULL, span_id VARCHAR NOT NULL, awaited_span_id VARCHAR NOT NULL,
    first_batch BIGINT NOT NULL,         -- of the publish
    since_batch BIGINT NOT NULL          -- its trace is in no load before
);

-- What somebody said about the topology, one row a thing and a sight.
CREATE TABLE topology_facts (
    batch BIGINT NOT NULL,
    source VARCHAR NOT NULL,             -- `shim`, `document` or `management`
    document VARCHAR,                    -- which document; replaced as a whole
    role VARCHAR NOT NULL,               -- actual | intended
    complete BOOLEAN NOT NULL,           -- absence from this source means absence
    environment VARCHAR, broker VARCHAR, vhost VARCHAR,
    service VARCHAR, instance VARCHAR, epoch VARCHAR,
    action VARCHAR NOT NULL,             -- declare | delete | bind | unbind | check (passive)
    kind VARCHAR NOT NULL,               -- exchange | queue | binding | policy
    name VARCHAR,                        -- exchange, queue or policy
    type VARCHAR, durable BOOLEAN, auto_delete BOOLEAN, exclusive BOOLEAN, arguments VARCHAR,
    source_name VARCHAR, destination VARCHAR, destination_kind VARCHAR, routing_key VARCHAR,
    seen_ns BIGINT NOT NULL, until_ns BIGINT,  -- a document that was replaced held until then
    -- what was polled: when it was last missed before, and first missed after
    internal BOOLEAN, possibly_from_ns BIGINT, possibly_to_ns BIGINT
);

-- Until when each polled source was asked: what it said last holds surely until then. `batch`: the
-- load as which that was last news.
CREATE TABLE topology_sources (batch BIGINT NOT NULL, document VARCHAR NOT NULL, checked_ns BIGINT NOT NULL);

-- How full queues are, as their broker's management API said in all looks of a time.
CREATE TABLE level_facts (
    batch BIGINT,                        -- the load at which it ended; null while it holds
    document VARCHAR NOT NULL,           -- which polled source
    broker VARCHAR, vhost VARCHAR NOT NULL, queue VARCHAR NOT NULL,
    state VARCHAR NOT NULL,              -- empty | handed (all to consumers) | waiting (nothing was handed out)
    from_ns BIGINT NOT NULL, to_ns BIGINT,   -- first and last look
    ready BIGINT NOT NULL, unacknowledged BIGINT NOT NULL, consumers BIGINT NOT NULL   -- at the last
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

-- What each receiver of notices was told of findings last, so that a restart tells nothing twice. A
-- notice waits until the receiver has it or it is given up.
CREATE TABLE notices (
    receiver VARCHAR NOT NULL,           -- a hash of its URL, which may be a secret
    id VARCHAR NOT NULL,                 -- the finding's
    severity VARCHAR NOT NULL,           -- the worst that was told
    told_to_ns BIGINT NOT NULL,          -- until when its newest episode had come
    event VARCHAR NOT NULL,              -- opened | episode | severity
    waiting BOOLEAN NOT NULL, noticed_ns BIGINT NOT NULL
);

-- What detectors remember of the history up to a load (detect/memory.py), for the next process.
CREATE TABLE memories (detector VARCHAR NOT NULL, batch BIGINT NOT NULL, value BLOB NOT NULL);

-- Findings that rest on what retention has dropped: they keep what they said.
CREATE TABLE frozen_findings (id VARCHAR NOT NULL);

-- A message is in one finding per kind and queue: of several verdicts the strongest stands (misrouted:
-- contract before stale_binding, refused, outlier), of equals the proven one. Context rows count in none.
CREATE VIEW verdicts AS
SELECT * FROM judgements
QUALIFY role IN ('overtaker', 'original') OR row_number() OVER (
    PARTITION BY kind, environment, broker, vhost, queue, message, role IN ('overtaker', 'original')
    ORDER BY CASE verdict WHEN 'stale_binding' THEN 1 WHEN 'refused' THEN 2 WHEN 'outlier' THEN 3
            WHEN 'publish_retry' THEN 1 WHEN 'unseen' THEN 1 WHEN 'alternate' THEN 1 ELSE 0 END,
        confidence = 'proven' DESC, CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, detector, key, cause, evidence) = 1;

-- The messages of each finding that stands, context rows among them: a finding is found again in
-- the verdicts by everything that makes it the same finding; of calls the peer too.
CREATE VIEW finding_verdicts AS
SELECT f.id AS finding_id, f.severity AS finding_severity, v.*
FROM findings f
JOIN verdicts v ON v.kind = f.kind AND v.verdict IS NOT DISTINCT FROM f.verdict AND v.cause IS NOT DISTINCT FROM f.cause
    AND v.environment IS NOT DISTINCT FROM f.environment AND v.broker IS NOT DISTINCT FROM f.broker AND v.vhost IS NOT DISTINCT FROM f.vhost
    AND v.queue IS NOT DISTINCT FROM f.queue AND v.exchange IS NOT DISTINCT FROM f.exchange AND v.routing_key IS NOT DISTINCT FROM f.routing_key
    AND v.producer_service IS NOT DISTINCT FROM f.producer_service
    AND (f.verdict IS DISTINCT FROM 'call' OR v.consumer_service IS NOT DISTINCT FROM f.consumer_service)
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

-- How full queues were. What was published until `about` was in the queue when it was looked at last, or had
-- left it: RabbitMQ counts every 5 s, shows what it counted some seconds later, and clocks differ.
CREATE VIEW queue_levels AS
SELECT broker, vhost, queue, state, from_ns AS seen_from, last_ns AS seen_to, last_ns - 15000000000 AS about, ready, unacknowledged, consumers
FROM (
    SELECT l.*, coalesce(l.to_ns, greatest(l.from_ns, c.checked_ns)) AS last_ns
    FROM level_facts l LEFT JOIN topology_sources c ON c.document = l.document
);

-- Each thing that somebody said exists, with the time it surely held (first to last sight) and
-- possibly held (to the neighbouring sights; null: open). What a shim declared surely holds
-- while its process is heard, unless something deletes it.
CREATE VIEW topology AS
WITH facts AS (      -- bindings of a headers exchange differ by their arguments alone, in whatever order these are told
    SELECT *, coalesce(name, source_name) AS subject,
        CASE kind WHEN 'binding' THEN list_sort(map_entries(TRY_CAST(TRY_CAST(coalesce(arguments, '{}') AS JSON) AS MAP(VARCHAR, JSON)))) END AS told
    FROM topology_facts
    WHERE until_ns IS NULL OR until_ns >= seen_ns  -- else a later document was valid from before this one
), follows AS (      -- a document that says again what the one before said says that it went on
    SELECT *, CASE WHEN source = 'document' THEN lag(until_ns) OVER told_on IS DISTINCT FROM seen_ns - 1 END AS begins FROM facts
    WINDOW told_on AS (PARTITION BY source, document, kind, subject, destination, destination_kind, routing_key, told, action ORDER BY seen_ns)
), sights AS (
    SELECT f.*, CASE WHEN source = 'document' THEN sum(begins::INTEGER) OVER told_on END AS life,
        CASE f.source WHEN 'shim' THEN p.last_event_ns WHEN 'management' THEN coalesce(f.until_ns, c.checked_ns) ELSE f.until_ns END AS heard_until
    FROM follows f
    LEFT JOIN (SELECT process, max(last_event_ns) AS last_event_ns FROM processes GROUP BY process) p
        ON p.process = CASE WHEN f.source = 'shim' THEN f.instance END  -- null elsewhere, as in topology_said.sql
    LEFT JOIN topology_sources c ON c.document = CASE WHEN f.source = 'management' THEN f.document END
    WINDOW told_on AS (PARTITION BY f.source, f.document, kind, subject, destination, destination_kind, routing_key, told, action ORDER BY seen_ns)
), bindings AS (
    SELECT DISTINCT broker, vhost, kind, subject, destination, destination_kind, routing_key, told FROM facts WHERE action = 'bind' AND source = 'shim'
), gone AS (         -- a binding goes with either end
    SELECT broker, vhost, kind, subject, destination, destination_kind, routing_key, told, seen_ns AS gone_ns
    FROM facts WHERE action IN ('delete', 'unbind')
    UNION
    SELECT b.*, f.seen_ns FROM bindings b JOIN facts f ON f.name = b.destination AND f.kind = coalesce(b.destination_kind, 'queue')
        AND f.broker IS NOT DISTINCT FROM b.broker AND f.vhost IS NOT DISTINCT FROM b.vhost
    WHERE f.action = 'delete'
    UNION
    SELECT b.*, f.seen_ns FROM bindings b JOIN facts f ON f.name = b.subject AND f.broker IS NOT DISTINCT FROM b.broker AND f.vhost IS NOT DISTINCT FROM b.vhost
    WHERE f.action = 'delete' AND f.kind = 'exchange'
), bounded AS (
    SELECT s.*,
        (SELECT min(g.gone_ns) FROM gone g WHERE g.broker IS NOT DISTINCT FROM s.broker AND g.vhost IS NOT DISTINCT FROM s.vhost
            AND g.kind = s.kind AND g.subject = s.subject AND g.destination IS NOT DISTINCT FROM s.destination
            AND g.destination_kind IS NOT DISTINCT FROM s.destination_kind AND g.routing_key IS NOT DISTINCT FROM s.routing_key AND g.told IS NOT DISTINCT FROM s.told
            AND g.gone_ns >= s.seen_ns AND s.source = 'shim') AS gone_after,
        (SELECT max(g.gone_ns) FROM gone g WHERE g.broker IS NOT DISTINCT FROM s.broker AND g.vhost IS NOT DISTINCT FROM s.vhost
            AND g.kind = s.kind AND g.subject = s.subject AND g.destination IS NOT DISTINCT FROM s.destination
            AND g.destination_kind IS NOT DISTINCT FROM s.destination_kind AND g.routing_key IS NOT DISTINCT FROM s.routing_key AND g.told IS NOT DISTINCT FROM s.told
            AND g.gone_ns < s.seen_ns AND s.source = 'shim') AS gone_before
    FROM sights s
)
SELECT role, kind, source, complete, environment, broker, vhost, service, instance, epoch,
    name, any_value(type) AS type, any_value(durable) AS durable, any_value(internal) AS internal, arguments,
    source_name, destination, destination_kind, routing_key,
    min(seen_ns) AS surely_from,
    greatest(max(seen_ns), least(max(coalesce(heard_until, seen_ns)), coalesce(min(gone_after), max(coalesce(heard_until, seen_ns))))) AS surely_to,
    CASE WHEN bool_and(coalesce(possibly_from_ns, gone_before) IS NOT NULL) THEN min(coalesce(possibly_from_ns, gone_before)) END AS possibly_from,
    CASE WHEN bool_and(coalesce(possibly_to_ns, gone_after, CASE WHEN source = 'document' THEN until_ns END) IS NOT NULL) THEN max(coalesce(possibly_to_ns, gone_after, until_ns)) END AS possibly_to
FROM bounded
WHERE action IN ('declare', 'bind')
GROUP BY role, kind, source, complete, environment, broker, vhost, service, instance, epoch,
    name, source_name, destination, destination_kind, routing_key, arguments, subject,
    -- what went and came back held twice
    CASE WHEN source = 'management' THEN seen_ns END, life;
