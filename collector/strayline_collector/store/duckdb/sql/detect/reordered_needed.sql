-- The deliveries that `reordered` needs to see of its touched keys: nearly all messages come in order,
-- and judging is dear. A superset, found by three sorts of narrow rows: whatever is overtaken by, or
-- overtakes, another of its channel, by delivery or by completion (everything between the two is one
-- or the other, so that extents are counted right); ordering keys of which a later message began
-- before an earlier one was done; retries with all that was sent since their first try. Then every
-- delivery of those messages. `placed_ns`: a clock that steps back must not undo the order that the
-- tags prove, so that it goes by all deliveries of the channel.
WITH seen AS (
    SELECT rowid AS rid, hash(concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, substr(stamp, 3, 16))) AS k,
        CAST(split_part(stamp, '.', 3) AS BIGINT) AS c, CAST(split_part(stamp, '.', 4) AS BIGINT) AS n,
        hash(coalesce(host, epoch, instance, service)) AS clock,
        CASE WHEN epoch IS NULL THEN concat_ws('/', service, coalesce(instance, ''), '', coalesce(channel, -1)) ELSE concat_ws('/', service, epoch, coalesce(channel, -1)) END AS lane,
        delivery_tag, received_ns, handled_start_ns, greatest(settled_ns, handled_end_ns, received_ns) AS done_ns,
        CASE WHEN settlement = 'auto' THEN coalesce(handled_end_ns, received_ns) ELSE coalesce(settled_ns, handled_end_ns, received_ns) END AS completed_ns,
        split_part(stamp, '.', 6) AS okey, TRY_CAST(split_part(stamp, '.', 7) AS BIGINT) AS okey_n
    FROM delivery_facts
    WHERE stamp IS NOT NULL AND queue IS NOT NULL AND NOT starts_with(queue, 'amq.rabbitmq.reply-to')
      AND (death IS NULL OR split_part(list_last(CAST(death AS VARCHAR[])), '|', 1) = queue)
      AND hash(concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, substr(stamp, 3, 16))) IN (SELECT hash(key) FROM touched)
), lanes AS (      -- as numbers that sort as their names do
    SELECT lane, row_number() OVER (ORDER BY lane) AS l FROM (SELECT DISTINCT lane FROM seen)
), placed AS (
    SELECT s.* EXCLUDE (lane), l.l, max(received_ns) OVER (PARTITION BY k, l.l ORDER BY delivery_tag ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS placed_ns
    FROM seen s JOIN lanes l USING (lane)
), compared AS (
    SELECT rid, k, c, n, okey, placed_ns,
        max(n) OVER (delivered ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > n OR min(n) OVER (delivered ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) < n AS astray,
        max(n) OVER (completed ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > n OR min(n) OVER (completed ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) < n AS done_astray
    FROM placed
    WINDOW delivered AS (PARTITION BY k, c, clock ORDER BY placed_ns, l, delivery_tag), completed AS (PARTITION BY k, c, clock ORDER BY completed_ns, n)
), broken_keys AS (
    SELECT DISTINCT k, okey FROM (
        SELECT k, okey, done_ns > min(handled_start_ns) OVER (PARTITION BY k, okey ORDER BY okey_n ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS broken
        FROM placed WHERE okey <> ''
    ) WHERE broken
), retried AS (
    SELECT p.k, p.c, p.n, r.first_channel, r.first_n, p.placed_ns
    FROM placed p JOIN (
        SELECT split_part(message, '.', 1) AS epoch, CAST(split_part(message, '.', 2) AS BIGINT) AS c, CAST(split_part(message, '.', 3) AS BIGINT) AS n, first_channel, first_n FROM retries
    ) r ON r.c = p.c AND r.n = p.n
), wanted AS (
    SELECT k, c, n FROM compared WHERE astray OR done_astray
    UNION
    SELECT p.k, p.c, p.n FROM placed p SEMI JOIN broken_keys b ON b.k = p.k AND b.okey = p.okey
    UNION
    SELECT k, c, n FROM retried
    UNION
    SELECT p.k, p.c, p.n FROM placed p SEMI JOIN retried r ON r.k = p.k AND r.first_channel = p.c AND p.n > r.first_n AND p.placed_ns <= r.placed_ns
)
SELECT p.rid, p.placed_ns FROM placed p SEMI JOIN wanted w ON w.k = p.k AND w.c = p.c AND w.n = p.n;
