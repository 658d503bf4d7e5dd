-- Between which times of a range anything may have happened, by what is known of each process: as wide
-- as what happened, or wider.
SELECT greatest($start_ns, min(first_event_ns)) AS oldest_ns, least($end_ns, max(last_event_ns)) AS newest_ns FROM processes;
