-- The deliveries that order is judged by, narrow: of the loads after `$after` up to `$upto`, first loaded
-- since `$from`. `k`: one producer process and the queues of one name; `c`, `n`: channel and count of the stamp; `clock`: whose
-- times; `lane`: the consuming channel, whichever process handles what it brings; `okey`: the
-- ordering key. Hashes have 63 bits: what is handed back and forth as Arrow is signed.
WITH placed AS (
    SELECT rowid AS rid, first_batch, substr(stamp, 3, 16) AS epoch, string_split(stamp, '.') AS parts, hash(queue) AS place,
        (hash(coalesce(host, epoch, instance, service)) >> 1)::BIGINT AS clock,
        (hash(service, coalesce(epoch, instance, ''), epoch IS NULL, coalesce(channel, -1)) >> 1)::BIGINT AS lane,
        delivery_tag, received_ns, coalesce(handled_start_ns, received_ns) AS began_ns, greatest(settled_ns, handled_end_ns, received_ns) AS done_ns,
        CASE WHEN settlement = 'auto' THEN coalesce(handled_end_ns, received_ns) ELSE coalesce(settled_ns, handled_end_ns, received_ns) END AS completed_ns
    FROM delivery_facts
    WHERE batch > $after AND batch <= $upto AND first_batch >= $from
      AND stamp IS NOT NULL AND queue IS NOT NULL AND NOT starts_with(queue, 'amq.rabbitmq.reply-to')
      -- dead-lettered into a queue that was not its first: no stream leads there
      AND (death IS NULL OR split_part(list_last(CAST(death AS VARCHAR[])), '|', 1) = queue)
)
SELECT rid, first_batch, (hash(place, epoch) >> 1)::BIGINT AS k, CAST(parts[3] AS BIGINT) AS c, CAST(parts[4] AS BIGINT) AS n,
    clock, lane, coalesce(delivery_tag, 9223372036854775807) AS delivery_tag, received_ns, began_ns, done_ns, completed_ns,
    CASE WHEN len(parts) > 5 AND parts[6] <> '' THEN (hash(place, epoch, parts[6]) >> 1)::BIGINT END AS okey,
    CASE WHEN len(parts) > 6 THEN TRY_CAST(parts[7] AS BIGINT) END AS okey_n
FROM placed;
