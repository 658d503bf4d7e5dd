-- How far back the loads of a roll reach, together: unknown where that of one is.
UPDATE loaded SET about_since = (SELECT min(coalesce(about_since, 0)) FROM loaded WHERE batch > $rolled AND batch <= $until) WHERE batch = $until;
