-- A load's number and place are wanted of the newest alone, how far back it reaches of each roll (reach.sql).
DELETE FROM loaded WHERE batch > $rolled AND batch < $until;
