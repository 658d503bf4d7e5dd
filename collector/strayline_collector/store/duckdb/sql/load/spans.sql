INSERT INTO spans BY NAME SELECT $batch AS batch, * FROM arrived;
