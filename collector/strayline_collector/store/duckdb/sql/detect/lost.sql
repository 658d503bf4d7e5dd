-- Messages that the broker took for a queue and nobody ever handled (docs/messages.md, section 5).
--
-- `missing` (detect/missing.sql) holds what was expected and never seen. That a message is absent
-- proves nothing; each cause rests on a fact of its own:
--   left       a later message of its stream and priority came out of the queue, or the broker said that it was empty, so it had left by then
--   emptied    a purge, a deletion, or the end of a channel that acknowledged by itself, with how many
--              messages went: never more may be missing than went
--   expired    its time was over before any later one came out
--   max_length as many as the queue holds were behind it before any of those came out
-- The last two say what became of a message that nobody took: every consumer has to have told until then what it took.
-- Whatever a consuming channel may still hold, or was given without being seen to handle it (tags
-- without a span), is claimed by nobody; nor what somebody unheard may have taken while no collector listened.
WITH lacking AS (
    SELECT m.*,
        CASE WHEN m.n IS NOT NULL THEN concat_ws('|', m.epoch, m.channel, m.exchange) ELSE concat_ws('|', m.service, coalesce(m.instance, ''), m.exchange) END AS stream,
        CASE WHEN m.n IS NOT NULL THEN m.n + 1 ELSE m.end_ns END AS after,
        q.name IS NOT NULL AS declared, q.dead_letter_exchange, q.single_active, q.max_length, q.max_length_bytes, q.overflow,
        -- an older file may hold an expiration that AMQP cannot have
        least(q.ttl_ms, CASE WHEN m.expiration_ms BETWEEN 0 AND 4294967295 THEN m.expiration_ms END) AS ttl_ms,
        CASE WHEN q.max_priority IS NOT NULL THEN least(coalesce(m.priority, 0), q.max_priority) WHEN q.name IS NULL OR q.is_quorum THEN coalesce(m.priority, 0) ELSE 0 END AS weight
    FROM missing m
    LEFT JOIN queue_traits q ON q.name = m.queue AND q.broker IS NOT DISTINCT FROM m.broker AND q.vhost IS NOT DISTINCT FROM m.vhost
        AND q.environment IS NOT DISTINCT FROM m.environment AND m.start_ns BETWEEN q.from_ns AND q.to_ns
), places AS (
    SELECT DISTINCT environment, broker, vhost, queue, key FROM missing
), got AS (
    SELECT d.*, w.key, q.max_priority, q.name IS NOT NULL AS declared, q.is_quorum
    FROM delivery_facts d
    JOIN places w ON w.queue = d.queue AND w.broker IS NOT DISTINCT FROM d.broker AND w.vhost IS NOT DISTINCT FROM d.vhost AND w.environment IS NOT DISTINCT FROM d.environment
    LEFT JOIN queue_traits q ON q.name = d.queue AND q.broker IS NOT DISTINCT FROM d.broker AND q.vhost IS NOT DISTINCT FROM d.vhost AND q.environment IS NOT DISTINCT FROM d.environment
        AND d.received_ns BETWEEN q.from_ns AND q.to_ns
), sums AS (
    SELECT key, count(DISTINCT hash(message)) AS seen, bool_or(epoch IS NULL) AS told_by_spans, approx_count_distinct(instance) AS instances,
        -- other SDKs tell of a handling when it ended: it may take thrice as long as any that did (of some nobody saw the end), and SDKs batch for 5 s
        greatest(3 * least(max(coalesce(handled_end_ns - handled_start_ns, 10000000000)), 10000000000), 5000000000) AS patience_ns,
        min(received_ns) AS first_ns, max(received_ns) AS last_ns, max(batch) AS batch, min(service) AS consumer_service
    FROM got GROUP BY key
), came AS (         -- what came out, in the order in which it went in
    SELECT key, concat_ws('|', string_split(stamp, '.')[2], string_split(stamp, '.')[3], exchange) AS stream, routing_key,
        CAST(string_split(stamp, '.')[4] AS BIGINT) AS ord, received_ns,
        CASE WHEN max_priority IS NOT NULL THEN least(coalesce(priority, 0), max_priority) WHEN NOT declared OR is_quorum THEN coalesce(priority, 0) ELSE 0 END AS weight
    FROM got WHERE stamp IS NOT NULL AND stamp_ok AND death IS NULL
    UNION ALL
    SELECT g.key, concat_ws('|', p.service, coalesce(p.instance, ''), p.exchange), p.routing_key, p.start_ns, g.received_ns,
        CASE WHEN g.max_priority IS NOT NULL THEN least(coalesce(p.priority, 0), g.max_priority) WHEN NOT g.declared OR g.is_quorum THEN coalesce(p.priority, 0) ELSE 0 END
    FROM got g JOIN publish_facts p ON p.trace_id = g.publish_trace_id AND p.span_id = g.publish_span_id
    WHERE g.stamp IS NULL AND p.n IS NULL
), outs AS (          -- of each missing message: when the first of those behind it came out
    SELECT key, message, out_ns FROM (
        SELECT *, min(received_ns) OVER (PARTITION BY key, stream, weight ORDER BY ord DESC, is_missing ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS out_ns
        FROM (
            SELECT key, stream, weight, ord, received_ns, NULL AS message, false AS is_missing FROM came SEMI JOIN (SELECT key, stream FROM lacking WHERE sure) l USING (key, stream)
            UNION ALL
            SELECT key, stream, weight, after, NULL, message, true FROM lacking WHERE sure
        )
    ) WHERE is_missing
    UNION ALL        -- where nothing tells what is bound, only its own key shows that it still led there
    SELECT key, message, out_ns FROM (
        SELECT *, min(received_ns) OVER (PARTITION BY key, stream, weight, routing_key ORDER BY ord DESC, is_missing ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS out_ns
        FROM (
            SELECT key, stream, weight, routing_key, ord, received_ns, NULL AS message, false AS is_missing
            FROM came SEMI JOIN (SELECT key, stream, routing_key FROM lacking WHERE NOT sure) l USING (key, stream, routing_key)
            UNION ALL
            SELECT key, stream, weight, routing_key, after, NULL, message, true FROM lacking WHERE NOT sure
        )
    ) WHERE is_missing
), emptied AS (      -- as the broker said, of queues that somebody was seen to take from
    SELECT w.key, true AS sure, v.seen_from, v.seen_to, v.about
    FROM queue_levels v JOIN places w ON w.queue = v.queue AND w.broker IS NOT DISTINCT FROM v.broker AND w.vhost IS NOT DISTINCT FROM v.vhost
    WHERE v.state = 'empty' AND w.key IN (SELECT key FROM sums)
), left_by AS (
    SELECT l.*, least(o.out_ns, CASE WHEN e.key IS NOT NULL THEN greatest(e.seen_from, l.end_ns + e.seen_to - e.about) END) AS out_ns, o.out_ns IS NULL AS by_level
    FROM lacking l
    JOIN outs o ON o.key = l.key AND o.message = l.message
    ASOF LEFT JOIN emptied e ON e.key = l.key AND e.sure = l.sure AND e.about >= l.end_ns
), words AS (        -- the last word of each process, and of each channel that was closed
    SELECT epoch, at_ns, json_transform(census, '{"consumers":[{"channel":"BIGINT","broker":"VARCHAR","vhost":"VARCHAR","queues":["VARCHAR"],"delivery_tag":"BIGINT","closed":"BOOLEAN"}],
        "spans_dropped":"BIGINT","last":"BOOLEAN"}') AS doc
    FROM census
    WHERE epoch IS NOT NULL AND json_valid(census) AND EXISTS (SELECT 1 FROM missing)
    QUALIFY row_number() OVER (PARTITION BY epoch ORDER BY at_ns DESC, census) = 1 OR contains(census, '"closed": true')
), processes_known AS (
    SELECT epoch, max(at_ns) AS census_ns, coalesce(bool_or(doc.last), false) AS ended, coalesce(max(doc.spans_dropped), 0) > 0 AS dropped
    FROM words GROUP BY epoch
), channels AS (
    SELECT w.epoch, c.consumer.channel AS channel, max(c.consumer.broker) AS broker, max(c.consumer.vhost) AS vhost, arg_max(c.consumer.queues, w.at_ns) AS queues, max(c.consumer.delivery_tag) AS delivery_tag,
        max(w.at_ns) AS at_ns, bool_or(coalesce(c.consumer.closed, false) OR coalesce(w.doc.last, false)) AS ended
    FROM words w, unnest(w.doc.consumers) AS c(consumer)
    GROUP BY w.epoch, c.consumer.channel
), homes AS (        -- a channel belongs to one broker and vhost: each of its deliveries tells it, else the census
    SELECT DISTINCT epoch, channel, broker, vhost FROM delivery_facts WHERE epoch IN (SELECT epoch FROM channels)
    UNION
    SELECT c.epoch, c.channel, coalesce(n.broker, c.broker), c.vhost FROM channels c LEFT JOIN broker_names n ON n.address = c.broker
    WHERE c.vhost IS NOT NULL
), lanes AS (
    SELECT DISTINCT epoch, channel, key FROM got WHERE epoch IS NOT NULL AND channel IS NOT NULL
    UNION
    SELECT c.epoch, c.channel, w.key
    FROM (SELECT epoch, channel, unnest(queues) AS queue FROM channels) c
    JOIN places w ON w.queue = c.queue
    LEFT JOIN homes h ON h.epoch = c.epoch AND h.channel = c.channel
    WHERE h.epoch IS NULL OR (h.broker IS NOT DISTINCT FROM w.broker AND h.vhost IS NOT DISTINCT FROM w.vhost)
), tags AS (
    SELECT d.epoch, d.channel, d.delivery_tag AS tag, min(d.received_ns) AS received_ns, bool_and(d.settlement IS NOT DISTINCT FROM 'auto') AS auto
    FROM delivery_facts d SEMI JOIN lanes l ON l.epoch = d.epoch AND l.channel = d.channel
    WHERE d.delivery_tag IS NOT NULL
    GROUP BY ALL
), steps AS (
    SELECT *, lag(tag, 1, 0) OVER lane AS tag_before, lag(received_ns, 1, 0) OVER lane AS before_ns
    FROM tags WINDOW lane AS (PARTITION BY epoch, channel ORDER BY tag)
), lane_sums AS (
    SELECT epoch, channel, max(tag) AS tag, max(received_ns) AS last_ns, bool_and(auto) AS auto, bool_or(tag - tag_before > 1) AS torn FROM steps GROUP BY ALL
), tails AS (        -- given to a channel after the last that it was seen to handle
    SELECT c.epoch, c.channel, c.queues, c.delivery_tag - coalesce(s.tag, 0) AS tags, coalesce(s.last_ns, 0) AS from_ns, c.at_ns, c.ended,
        coalesce(s.auto AND NOT s.torn, false) AS auto, p.dropped
    FROM channels c
    SEMI JOIN lanes l ON l.epoch = c.epoch AND l.channel = c.channel
    LEFT JOIN lane_sums s ON s.epoch = c.epoch AND s.channel = c.channel
    JOIN processes_known p ON p.epoch = c.epoch
    WHERE c.delivery_tag > coalesce(s.tag, 0)
), gaps AS (
    SELECT l.key, g.from_ns, max(g.to_ns) OVER (PARTITION BY l.key ORDER BY g.from_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS to_ns
    FROM (
        SELECT epoch, channel, before_ns AS from_ns, received_ns AS to_ns FROM steps WHERE tag - tag_before > 1
        UNION ALL
        SELECT epoch, channel, from_ns, CASE WHEN ended THEN at_ns ELSE 9223372036854775807 END FROM tails WHERE NOT (auto AND ended AND NOT dropped)
    ) g JOIN lanes l ON l.epoch = g.epoch AND l.channel = g.channel
), blind_spots AS (  -- from when on nobody knows what a consuming process took
    SELECT key, known_ns, max(alive_ns) OVER (PARTITION BY key ORDER BY known_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS alive_ns
    FROM (
        SELECT g.key, g.epoch,
            CASE WHEN any_value(p.dropped) THEN 0 WHEN any_value(p.ended) THEN 9223372036854775807 ELSE coalesce(any_value(p.census_ns), 0) END AS known_ns,
            CASE WHEN any_value(p.dropped) THEN 9223372036854775807 ELSE greatest(max(g.received_ns), coalesce(any_value(p.census_ns), 0)) + 15000000000 END AS alive_ns
        FROM got g LEFT JOIN processes_known p ON p.epoch = g.epoch
        WHERE g.epoch IS NOT NULL
        GROUP BY g.key, g.epoch
    )
), covers AS (       -- one consumer that was there before and after
    SELECT key, first_ns, max(last_ns) OVER (PARTITION BY key ORDER BY first_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS last_ns
    FROM (
        SELECT key, min(received_ns) AS first_ns, max(received_ns) AS last_ns FROM got
        GROUP BY key, service, coalesce(epoch, instance), channel
    )
), emptyings AS (
    SELECT l.key, CASE t.action WHEN 'purge' THEN 'purged' ELSE 'queue_deleted' END AS cause, t.seen_ns AS from_ns, t.seen_ns AS at_ns,
        TRY_CAST(t.arguments->>'$.messages' AS BIGINT) AS went, concat_ws('|', t.action, t.seen_ns) AS event
    FROM (SELECT DISTINCT broker, vhost, queue, key FROM places) l
    JOIN topology_facts t ON t.kind = 'queue' AND t.action IN ('purge', 'delete') AND t.source = 'shim' AND t.name = l.queue
        AND t.broker IS NOT DISTINCT FROM l.broker AND t.vhost IS NOT DISTINCT FROM l.vhost AND json_valid(coalesce(t.arguments, '{}'))
    WHERE coalesce(TRY_CAST(t.arguments->>'$.messages' AS BIGINT), 1) > 0
    UNION ALL
    SELECT w.key, 'auto_ack_consumer', t.from_ns, t.at_ns, t.tags, concat_ws('|', t.epoch, t.channel)
    FROM tails t
    JOIN lanes l ON l.epoch = t.epoch AND l.channel = t.channel
    JOIN places w ON w.queue = t.queues[1] AND w.key = l.key
    WHERE t.auto AND t.ended AND NOT t.dropped AND len(t.queues) = 1
), bounded AS (      -- queues that drop their oldest: what went in, and how many by when
    SELECT DISTINCT e.key, p.message, p.start_ns, p.end_ns, f.received_ns
    FROM (SELECT DISTINCT key, environment, broker, vhost, queue FROM lacking WHERE max_length IS NOT NULL AND coalesce(overflow, 'drop-head') = 'drop-head') e
    JOIN expected x ON x.queue = e.queue AND x.environment IS NOT DISTINCT FROM e.environment AND x.broker IS NOT DISTINCT FROM e.broker AND x.vhost IS NOT DISTINCT FROM e.vhost
    JOIN publish_facts p ON p.exchange = x.exchange AND p.routing_key = x.routing_key AND p.start_ns BETWEEN x.from_ns AND x.to_ns
        AND p.environment IS NOT DISTINCT FROM x.environment AND p.broker IS NOT DISTINCT FROM x.broker AND p.vhost IS NOT DISTINCT FROM x.vhost
        AND p.routing_headers IS NOT DISTINCT FROM x.routing_headers AND p.outcome IN ('confirmed', 'committed') AND p.delay_ms IS NULL
        AND (p.mandatory OR NOT x.if_mandatory)
    LEFT JOIN (SELECT key, message, min(received_ns) AS received_ns FROM got GROUP BY ALL) f ON f.key = e.key AND f.message = p.message
), entered AS (
    SELECT key, start_ns, row_number() OVER (PARTITION BY key ORDER BY start_ns, message) - 1 AS before,
        min(received_ns) OVER (PARTITION BY key ORDER BY start_ns, message ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS out_ns
    FROM bounded
), confirmed AS (
    SELECT key, end_ns, max(row_number) AS so_far FROM (SELECT key, end_ns, row_number() OVER (PARTITION BY key ORDER BY end_ns, message) AS row_number FROM bounded) GROUP BY ALL
), depths AS (       -- how many that were published after it were in the queue before any of those came out, and when it was full by them
    SELECT l.key, l.message, c.so_far - coalesce(b.before, t.total) AS depth, f.end_ns AS full_ns
    FROM lacking l
    JOIN (SELECT key, count(*) AS total FROM bounded GROUP BY key) t ON t.key = l.key
    ASOF LEFT JOIN (SELECT key, start_ns, min(before) AS before, min(out_ns) AS out_ns FROM entered GROUP BY ALL) b ON b.key = l.key AND b.start_ns > l.end_ns
    ASOF LEFT JOIN confirmed c ON c.key = l.key AND c.end_ns <= coalesce(b.out_ns, 9223372036854775807)
    ASOF LEFT JOIN confirmed f ON f.key = l.key AND f.so_far >= coalesce(b.before, t.total) + l.max_length
    WHERE l.sure AND l.max_length IS NOT NULL
), weighed AS (
    SELECT l.*, s.seen, s.told_by_spans, s.patience_ns, s.batch AS seen_batch, s.consumer_service, s.instances, s.last_ns,
        coalesce(l.out_ns, m.now_ns) AS until_ns, m.now_ns, v.cause AS event_cause, v.event, v.at_ns, v.went,
        v.event IS NOT NULL AND (l.out_ns IS NULL OR l.out_ns >= v.from_ns) AS fits,
        d.depth, d.full_ns, l.end_ns + l.ttl_ms * 1000000 AS expired_ns
    FROM left_by l
    CROSS JOIN moment m
    LEFT JOIN sums s ON s.key = l.key
    LEFT JOIN depths d ON d.key = l.key AND d.message = l.message
    ASOF LEFT JOIN emptyings v ON v.key = l.key AND v.at_ns >= l.end_ns
), doubted AS (
    SELECT w.*,
        coalesce(g.to_ns >= w.start_ns, false) AS maybe_held,
        coalesce(b.alive_ns >= w.start_ns, false) AS blind,
        -- with other SDKs nobody counts deliveries
        NOT w.told_by_spans AND NOT coalesce(be.alive_ns >= w.start_ns, false) AS known_till_expired,
        NOT w.told_by_spans AND NOT coalesce(bf.alive_ns >= w.start_ns, false) AS known_till_full,
        coalesce(c.last_ns >= w.until_ns, false) AS covered,
        count(*) FILTER (WHERE w.fits) OVER (PARTITION BY w.key, w.event) AS gone,
        count(*) OVER (PARTITION BY w.key) AS absent
    FROM weighed w
    ASOF LEFT JOIN gaps g ON g.key = w.key AND g.from_ns <= w.until_ns
    ASOF LEFT JOIN blind_spots b ON b.key = w.key AND b.known_ns < w.until_ns
    ASOF LEFT JOIN blind_spots be ON be.key = w.key AND be.known_ns < w.expired_ns
    ASOF LEFT JOIN blind_spots bf ON bf.key = w.key AND bf.known_ns < w.full_ns
    ASOF LEFT JOIN covers c ON c.key = w.key AND c.first_ns <= w.start_ns
), limited AS (
    SELECT *,
        coalesce(expired_ns <= now_ns AND coalesce(out_ns >= start_ns + ttl_ms * 1000000, true) AND (event IS NULL OR at_ns >= start_ns + ttl_ms * 1000000), false) AS time_over,
        coalesce(depth >= max_length AND (event IS NULL OR out_ns < at_ns), false) AS filled
    FROM doubted
), judged AS (
    SELECT *,
        CASE
            WHEN NOT sure THEN NULL
            WHEN fits AND gone <= went AND at_ns <= now_ns THEN event_cause
            WHEN seen IS NULL OR NOT declared OR dead_letter_exchange IS NOT NULL OR maybe_held THEN NULL
            WHEN time_over AND known_till_expired THEN 'expired'
            WHEN filled AND known_till_full THEN 'max_length'
            WHEN out_ns <= now_ns AND NOT blind AND NOT told_by_spans AND single_active AND covered
                AND ttl_ms IS NULL AND max_length IS NULL AND max_length_bytes IS NULL AND NOT fits THEN 'unknown'
        END AS proven_cause,
        out_ns <= now_ns AND NOT maybe_held AND NOT (coalesce(dead_letter_exchange IS NOT NULL, false) AND (ttl_ms IS NOT NULL OR max_length IS NOT NULL OR max_length_bytes IS NOT NULL))
            AND NOT (told_by_spans AND now_ns - out_ns < patience_ns) AS unseen
    FROM limited
), told_of AS (      -- a single active consumer that was there before and after took it, or nobody did
    SELECT j.* FROM judged j
    ANTI JOIN unheard u ON j.proven_cause IS DISTINCT FROM 'unknown' AND u.to_ns >= j.start_ns
        AND u.from_ns <= CASE WHEN j.proven_cause = j.event_cause THEN j.at_ns WHEN j.proven_cause = 'expired' THEN j.expired_ns ELSE coalesce(j.out_ns, j.end_ns) END
    WHERE j.proven_cause IS NOT NULL OR j.unseen
)
SELECT key, 'lost' AS kind, CASE WHEN proven_cause IS NULL THEN 'unseen' END AS verdict, proven_cause AS cause,
    CASE
        WHEN proven_cause IN ('expired', 'max_length', 'purged') THEN 'info'
        WHEN proven_cause IS NOT NULL THEN 'error'
        WHEN max_length_bytes IS NOT NULL OR time_over OR filled THEN 'info'  -- it may have dropped it, as it was told to
        WHEN by_level AND NOT covered THEN 'info'  -- nobody was heard to take anything after it: who took it may have lost its voice
        WHEN sure AND seen >= (SELECT unseen_share FROM thresholds) * (seen + absent) AND NOT blind AND (NOT told_by_spans OR covered AND instances = 1) THEN 'warning'
        ELSE 'info'
    END AS severity,
    CASE WHEN proven_cause IS NULL THEN 'inferred' ELSE 'proven' END AS confidence, 'missing' AS role,
    message, trace_id, span_id AS producer_span_id, message_id, environment, broker, vhost, queue, exchange, routing_key,
    service AS producer_service, consumer_service,
    to_json({expected_queues: [queue], actual_queues: []::VARCHAR[], sequence: n, left_by_ns: out_ns, ttl_ms: ttl_ms, max_length: max_length, depth: depth,
        emptied_ns: CASE WHEN proven_cause = event_cause THEN at_ns END, went: CASE WHEN proven_cause = event_cause THEN went END,
        seen: seen, missing: absent,
        missing_evidence: CASE WHEN proven_cause IS NULL THEN list_filter([
            CASE WHEN NOT sure THEN 'what the queue was bound to is not known' END,
            CASE WHEN NOT declared THEN 'whether its messages expire is not known' END,
            CASE WHEN ttl_ms IS NOT NULL OR max_length IS NOT NULL OR max_length_bytes IS NOT NULL THEN 'it may have expired or been dropped by the queue''s limit' END,
            CASE WHEN fits THEN 'the queue was emptied, but more are missing than went' END,
            CASE WHEN blind THEN 'telemetry of a consumer that ended without a last word' END,
            'a consumer without instrumentation may have taken it'], lambda x: x IS NOT NULL) END,
        deliveries: []::VARCHAR[]}) AS evidence,
    CASE WHEN proven_cause = event_cause THEN at_ns WHEN proven_cause = 'expired' THEN expired_ns ELSE coalesce(out_ns, end_ns) END AS event_ns,
    CASE WHEN proven_cause = event_cause THEN at_ns WHEN proven_cause = 'expired' THEN expired_ns
         WHEN proven_cause = 'max_length' THEN coalesce(out_ns, last_ns, end_ns) ELSE out_ns END AS facts_until_ns,
    greatest(batch, coalesce(seen_batch, 0)) AS batch
FROM told_of
UNION ALL
-- Rejected for good from a queue that no dead-letter exchange follows.
SELECT r.key, 'lost', NULL, 'discarded', 'warning',
    -- a policy may add a dead-letter exchange, which only a complete source of the broker's own would tell
    CASE WHEN EXISTS (SELECT 1 FROM topology_facts t WHERE t.role = 'actual' AND t.complete AND t.vhost IS NOT DISTINCT FROM r.vhost
        AND (t.broker IS NULL OR r.broker IS NULL OR t.broker = r.broker)) THEN 'proven' ELSE 'inferred' END, 'missing',
    r.message, r.publish_trace_id, r.publish_span_id, r.message_id, r.environment, r.broker, r.vhost, r.queue, r.exchange, r.routing_key,
    p.service, r.service,
    to_json({expected_queues: [r.queue], actual_queues: [r.queue], sequence: p.n, settlement: r.settlement, delivery_limit: r.over_limit,
        deliveries: [{consumer_span_id: r.span_id, trace_id: r.trace_id, delivery_tag: r.delivery_tag, redelivered: r.redelivered,
            settled: r.settlement, time_ns: r.received_ns}]}),
    coalesce(r.settled_ns, r.received_ns), coalesce(r.settled_ns, r.received_ns), greatest(r.batch, coalesce(p.batch, 0))
FROM rejected r
ANTI JOIN unheard u ON coalesce(r.settled_ns, r.received_ns) BETWEEN u.doubt_ns AND u.to_ns
LEFT JOIN publish_facts p ON p.trace_id = r.publish_trace_id AND p.span_id = r.publish_span_id
-- its dead letters were seen: some policy gives it a dead-letter exchange all the same
ANTI JOIN (SELECT DISTINCT environment, broker, vhost, split_part(unnest(CAST(death AS VARCHAR[])), '|', 1) AS queue FROM delivery_facts WHERE death IS NOT NULL) x
    ON x.queue = r.queue AND x.broker IS NOT DISTINCT FROM r.broker AND x.vhost IS NOT DISTINCT FROM r.vhost AND x.environment IS NOT DISTINCT FROM r.environment
-- other SDKs' spans tell no x-death: by another exchange or key than it was rejected with, and thereafter
ANTI JOIN (
    SELECT DISTINCT s.environment, s.broker, s.vhost, s.queue
    FROM rejected s JOIN delivery_facts o ON o.message = s.message AND o.broker IS NOT DISTINCT FROM s.broker AND o.vhost IS NOT DISTINCT FROM s.vhost
        AND o.environment IS NOT DISTINCT FROM s.environment AND (o.exchange <> s.exchange OR o.routing_key <> s.routing_key)
    WHERE o.source = 'spans' AND o.received_ns >= coalesce(s.settled_ns, s.received_ns) - 1000000   -- starts of whole milliseconds
) y ON y.queue = r.queue AND y.broker IS NOT DISTINCT FROM r.broker AND y.vhost IS NOT DISTINCT FROM r.vhost AND y.environment IS NOT DISTINCT FROM r.environment
-- it was accepted there in another delivery, or whoever refused it sent it on
ANTI JOIN (
    SELECT d.message, d.environment, d.broker, d.vhost, d.queue FROM delivery_facts d SEMI JOIN rejected r ON r.message = d.message WHERE d.settlement IN ('ack', 'auto', 'sent')
) a ON a.message = r.message AND a.queue = r.queue AND a.broker IS NOT DISTINCT FROM r.broker AND a.vhost IS NOT DISTINCT FROM r.vhost
    AND a.environment IS NOT DISTINCT FROM r.environment
ANTI JOIN (
    SELECT p.message_id, p.environment, p.broker, p.vhost, p.start_ns, p.span_id FROM publish_facts p SEMI JOIN rejected r ON r.message_id = p.message_id
) c ON c.message_id = r.message_id AND c.start_ns >= r.received_ns AND c.span_id IS DISTINCT FROM r.publish_span_id AND c.broker IS NOT DISTINCT FROM r.broker
    AND c.vhost IS NOT DISTINCT FROM r.vhost AND c.environment IS NOT DISTINCT FROM r.environment;
