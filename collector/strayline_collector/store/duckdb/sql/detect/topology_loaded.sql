INSERT INTO loaded
SELECT coalesce(max(batch), 0) + 1, coalesce(arg_max(segment, batch), 0), coalesce(arg_max(byte_offset, batch), 0), $now_ns FROM loaded;
