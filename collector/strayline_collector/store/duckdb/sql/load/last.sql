-- The newest load.
SELECT batch, segment, byte_offset, spans, traces FROM loaded ORDER BY batch DESC LIMIT 1;
