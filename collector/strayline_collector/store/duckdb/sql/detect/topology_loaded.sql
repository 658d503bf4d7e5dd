INSERT INTO loaded BY NAME
SELECT coalesce(max(batch), 0) + 1 AS batch, coalesce(arg_max(segment, batch), 0) AS segment, coalesce(arg_max(byte_offset, batch), 0) AS byte_offset,
    $now_ns AS loaded_ns, coalesce(arg_max(spans, batch), 0) AS spans, coalesce(arg_max(traces, batch), 0) AS traces
FROM loaded;
