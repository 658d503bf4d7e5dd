-- Each message's final delivery in one queue, by numbers alone: its place among the deliveries (or
-- completions), by which they are sorted, and its place among the publishes. Within one stream `n` orders publishes, across
-- streams their start times do, which is for the eye: lateness itself is the detectors' word.
-- Texts stay behind, by hashes of eight bytes they are found again: a million messages take 30 MB.
-- Forwards and backwards: DuckDB's hash alone makes one in a hundred ids of the form `0007.0042` equal. As BIGINT, since what is compared is pushed
-- into the table's scan, which takes no greater number.
WITH attempts AS (
    SELECT (hash(coalesce(message, trace_id || span_id), reverse(coalesce(message, trace_id || span_id))) >> 1)::BIGINT AS m, received_ns, coalesce(delivery_tag, -1) AS tag, span_id, redelivered,
        CASE WHEN publish_span_id IS NULL THEN NULL ELSE hash(publish_trace_id, publish_span_id) END AS published,
        CASE WHEN $basis = 'completion' THEN coalesce(settled_ns, handled_end_ns, received_ns) ELSE received_ns END AS at_ns,
        coalesce(settlement, 'ack') NOT IN ('nack_requeue', 'reject_requeue') AS is_final
    FROM delivery_facts
    WHERE queue = $queue AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost) AND received_ns BETWEEN $start_ns AND $end_ns
), repeated AS (
    SELECT m FROM attempts GROUP BY m HAVING count(*) > 1
), finals AS (
    SELECT m, received_ns, tag, published, at_ns, coalesce(redelivered, false) AS again FROM attempts WHERE is_final AND m NOT IN (FROM repeated)
    UNION ALL
    SELECT m, received_ns, tag, published, at_ns, true FROM (
        FROM attempts WHERE m IN (FROM repeated) QUALIFY row_number() OVER (PARTITION BY m ORDER BY received_ns DESC, tag DESC, span_id) = 1
    ) WHERE is_final
), placed AS MATERIALIZED (
    SELECT f.*, p.start_ns AS published_ns, p.n, CASE WHEN p.epoch IS NULL THEN NULL ELSE hash(p.epoch, p.channel) END AS stream, p.start_ns IS NOT NULL AS known
    FROM finals f LEFT JOIN publish_facts p ON hash(p.trace_id, p.span_id) = f.published
), streams AS (
    SELECT count(*) AS n FROM (SELECT DISTINCT stream FROM placed)
)
SELECT row_number() OVER (ORDER BY at_ns, tag, m) - 1 AS position,
    row_number() OVER (ORDER BY coalesce(CASE WHEN (FROM streams) = 1 THEN n END, published_ns, at_ns), n, m) - 1 AS sequence,
    m, received_ns, at_ns, again, known
FROM placed ORDER BY position;
