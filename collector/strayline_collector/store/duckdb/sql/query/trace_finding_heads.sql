SELECT * FROM findings WHERE id IN (SELECT unnest($ids)) ORDER BY id;
