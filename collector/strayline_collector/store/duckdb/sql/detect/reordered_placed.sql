-- `window_rows` with their places: a clock that steps back, as it did on the consuming channels `stepped`, must not undo
-- the order that the tags prove.
SELECT *, received_ns AS placed_ns FROM window_rows ANTI JOIN stepped USING (lane)
UNION ALL
SELECT *, max(received_ns) OVER (PARTITION BY k, c, lane ORDER BY delivery_tag ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM window_rows SEMI JOIN stepped USING (lane);
