INSERT INTO level_facts BY NAME SELECT $document AS document, $broker AS broker, * FROM levels;
