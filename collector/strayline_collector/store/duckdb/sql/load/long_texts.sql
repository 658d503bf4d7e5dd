INSERT INTO long_texts BY NAME SELECT $batch AS batch, * FROM long_parts;
