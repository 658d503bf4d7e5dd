-- Of `cuts` those of producing channels of which deliveries may be kept: what such a channel sent last lies before its last cut.
SELECT * FROM cuts QUALIFY max(placed_ns) OVER (PARTITION BY k, c) >= $oldest_ns;
