SELECT batch, segment, byte_offset FROM loaded ORDER BY batch DESC LIMIT 1;
