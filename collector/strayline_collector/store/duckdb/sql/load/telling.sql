-- By what the load's messages are known besides their traces.
WITH read AS (
    SELECT kind, messaging_operation, links, json_extract_string(attributes, ['$."strayline.stamp"', '$."strayline.epoch"',
        '$."strayline.channel"', '$."messaging.rabbitmq.message.delivery_tag"', '$."messaging.destination.name"']) AS a
    FROM told
), named AS (
    SELECT array_to_string(string_split(a[1], '.')[2:4], '.') AS told FROM read WHERE a[1] IS NOT NULL
    UNION
    -- the broker numbers every direct reply 1 and nobody settles them: one name for all would lead back to the first
    SELECT a[2] || '/' || a[3] || '.' || a[4] FROM read
    WHERE messaging_operation IN ('process', 'receive', 'settle') AND NOT starts_with(coalesce(a[5], ''), 'amq.rabbitmq.reply-to')
    UNION
    SELECT l.link->>'$.trace_id' FROM read r, unnest(CAST(json_extract(r.links, '$[*]') AS JSON[])) AS l(link) WHERE r.links IS NOT NULL
)
SELECT DISTINCT key_of(told) AS message_key FROM named WHERE told IS NOT NULL;
