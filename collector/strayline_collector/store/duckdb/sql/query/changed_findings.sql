-- Findings that changed after one change, in the order of their changes.
SELECT * FROM findings WHERE updated_ns > $updated_ns OR (updated_ns = $updated_ns AND id > $id)
ORDER BY updated_ns, id LIMIT $limit;
