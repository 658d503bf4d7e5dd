-- Whether anything was ever delivered that may have died where it was (`came_ways`).
SELECT count(*) > 0 AS dead FROM came_ways WHERE dead;
