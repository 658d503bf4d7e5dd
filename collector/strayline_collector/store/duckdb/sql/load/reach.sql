-- The oldest load that something about the load's messages came with.
WITH named AS (
    SELECT trace_id AS told FROM told
    UNION
    SELECT l.link->>'$.trace_id' FROM told t, unnest(CAST(json_extract(t.links, '$[*]') AS JSON[])) AS l(link) WHERE t.links IS NOT NULL
), keys AS (
    SELECT key_of(told) AS key FROM named WHERE told IS NOT NULL
    UNION
    SELECT message_key FROM telling
)
SELECT least($batch, (SELECT min(batch) FROM trace_directory SEMI JOIN keys ON trace_key = key),
             (SELECT min(batch) FROM message_directory SEMI JOIN keys ON message_key = key)) AS since;
