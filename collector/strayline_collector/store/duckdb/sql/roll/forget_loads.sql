-- A load's number and place are wanted of the newest alone.
DELETE FROM loaded WHERE batch < $until;
