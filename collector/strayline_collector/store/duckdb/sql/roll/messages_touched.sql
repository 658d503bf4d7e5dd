-- How many facts lie in the minutes `again`.
SELECT (SELECT count(*) FROM delivery_facts WHERE received_ns // 60_000_000_000 IN (SELECT minute FROM again))
    + (SELECT count(*) FROM publish_facts WHERE start_ns // 60_000_000_000 IN (SELECT minute FROM again)) AS facts;
