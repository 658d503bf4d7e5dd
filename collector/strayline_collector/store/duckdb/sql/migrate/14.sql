-- A file of schema version 13 becomes one of version 14: what a document says again has not ended, and what one left
-- out between held twice.
CREATE OR REPLACE VIEW topology AS
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
UPDATE meta SET value = '14' WHERE key = 'schema_version';
