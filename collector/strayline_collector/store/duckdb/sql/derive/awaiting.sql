INSERT INTO open_operations BY NAME
SELECT trace_id, span_id, awaited_span_id, first_batch, since_batch FROM climbed WHERE awaited_span_id IS NOT NULL;
